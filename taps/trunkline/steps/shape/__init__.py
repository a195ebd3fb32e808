"""Shape: records from rows. Typed, computed fields, personal data, unknown fields; compiled once for a stream."""
