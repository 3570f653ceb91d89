-- crc: of the body; null for what was written before this column was there.
ALTER TABLE request ADD COLUMN crc BIGINT;
