#!/bin/sh
# Run once by PostgreSQL's image, when it makes the database: a standby may copy it with the password of `monitor`.
set -eu
echo "host replication monitor all scram-sha-256" >> "$PGDATA/pg_hba.conf"
