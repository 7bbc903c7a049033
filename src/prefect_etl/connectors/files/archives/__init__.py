"""Archives, and compressed files that the engine cannot read itself."""
