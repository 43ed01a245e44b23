"""Break what a hub depends on, at random and under load, and count what is lost: nothing."""
