"""The Airbyte face of a tap: `source-<vendor>`, over the same streams."""
