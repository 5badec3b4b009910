"""Multichat measured beside what a user would pick instead: `script/bench`, a program and not a test."""
