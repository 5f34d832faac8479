"""The embedded example: small rendered scenes with exact label maps."""
