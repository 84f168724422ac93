"""The conformance suite of shmd's clients. ../README.md says how it is run and made larger."""
