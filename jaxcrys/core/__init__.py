"""What every layer shares: pytrees, array types, random keys, errors and safe files."""
