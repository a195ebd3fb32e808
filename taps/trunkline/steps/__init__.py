"""The way of the data: plan, fetch, prove, shape, write, bookmark; each step imports those before it and the ground."""
