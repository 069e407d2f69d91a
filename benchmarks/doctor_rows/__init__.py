"""What the doctor is tried on: runs with planted faults, and healthy ones."""
