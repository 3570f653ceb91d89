"""Moving many things between files and a store. Work is done in generators that yield events."""
