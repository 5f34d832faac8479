"""One network per file, one paper per network; none imports another."""
