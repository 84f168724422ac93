"""The parts of the torture: what it looks at, its workers, its languages."""
