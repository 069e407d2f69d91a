"""What people use a trained model for: find what is odd, fill what is missing, make alike; a file for each."""
