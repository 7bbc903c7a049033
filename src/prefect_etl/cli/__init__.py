"""The command line: thin commands over the API; printing happens here and nowhere below."""
