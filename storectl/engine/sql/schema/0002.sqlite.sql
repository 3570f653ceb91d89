-- place: of a setting that is a text, such as where large records are.
ALTER TABLE setting ADD COLUMN place TEXT;
