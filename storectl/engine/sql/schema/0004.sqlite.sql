-- With all that a list tells, or each of its rows is looked at: 5 times the work where they
-- hold 20 kB.
DROP INDEX record_list;
CREATE INDEX record_list ON record (storage_no, key, size, content_type, sha256);
