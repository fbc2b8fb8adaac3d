#include "storage/sqlite/schema.hpp"

namespace perjoule::storage {

namespace {

constexpr std::string_view ledger_migrations[] = {
    R"(
CREATE TABLE total(key TEXT PRIMARY KEY, millionths INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE meter(key TEXT PRIMARY KEY, boot_id TEXT NOT NULL, raw INTEGER NOT NULL, steady_ns INTEGER NOT NULL,
                   wall_ms INTEGER NOT NULL, power_microwatts INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
)",
    R"(
CREATE TABLE state(key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
)",
};

constexpr std::string_view history_migrations[] = {
    R"(
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE series(id INTEGER PRIMARY KEY, metric TEXT NOT NULL, labels TEXT NOT NULL, unit TEXT NOT NULL,
                    kind INTEGER NOT NULL, UNIQUE(metric, labels)) STRICT;
CREATE TABLE grp(id INTEGER PRIMARY KEY, source TEXT NOT NULL, device TEXT NOT NULL, period_ms INTEGER NOT NULL,
                 members BLOB NOT NULL, closed_seq INTEGER) STRICT;
CREATE TABLE tail(seq INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, d BLOB NOT NULL) STRICT;
CREATE INDEX tail_time ON tail(last_ms, first_ms);
)",
    R"(
ALTER TABLE tail RENAME TO tail_1;
CREATE TABLE tail(id INTEGER PRIMARY KEY, number INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
                  d BLOB NOT NULL) STRICT;
INSERT INTO tail SELECT seq, seq, first_ms, last_ms, d FROM tail_1;
DROP TABLE tail_1;
ALTER TABLE grp ADD COLUMN bundle INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grp ADD COLUMN first_slot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grp ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN last_slot INTEGER;
CREATE TABLE chunk(k INTEGER PRIMARY KEY, samples INTEGER NOT NULL, d BLOB NOT NULL) STRICT;
CREATE TABLE roll_1m(k INTEGER PRIMARY KEY, d BLOB NOT NULL) STRICT;
CREATE TABLE roll_1h(start_s INTEGER NOT NULL, series INTEGER NOT NULL, min REAL, max REAL, mean REAL, last REAL,
                     count INTEGER NOT NULL, seconds REAL NOT NULL, increase REAL NOT NULL,
                     PRIMARY KEY(start_s, series)) STRICT, WITHOUT ROWID;
)",
};

}  // namespace

// The application ids are "pjLg" and "pjHi" in ASCII. The ledger's WAL is small (64 pages before a checkpoint), because
// its whole space is allocated when the file is opened (storage/ledger_file.cpp).
const Format ledger_format{"ledger", 0x706a4c67, ledger_migrations, 64};
const Format history_format{"history", 0x706a4869, history_migrations, 1000};

}  // namespace perjoule::storage
