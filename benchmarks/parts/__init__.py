"""The parts of a run: each measures one thing and returns what goes into the results."""
