"""What each use is measured by, beside its peers; a file for each use."""
