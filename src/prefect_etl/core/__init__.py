"""Pure values and decisions: nothing here touches a file, a socket or a clock."""
