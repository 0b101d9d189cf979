"""Replay: tables of items with rate limiters, the rows that items refer to, and n-step rows of fragments."""
