#!/bin/sh
# A standby of the primary: copies it on the first start, and follows it from then on. `pg_ctl promote` makes it the
# primary. POSTGRES_PASSWORD is that of `monitor`.
set -eu
mkdir -p "$PGDATA"
if [ "$(id -u)" = 0 ]; then
  chown postgres: "$PGDATA"
  exec gosu postgres sh "$0"
fi
chmod 700 "$PGDATA"
export PGHOST="${DATABASE_HOST:-postgres}" PGPORT="${DATABASE_PORT:-5432}" PGUSER=monitor PGPASSWORD="$POSTGRES_PASSWORD"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  psql -qd monitor -c "SELECT pg_create_physical_replication_slot('standby')
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'standby')" > /dev/null
  rm -rf "$PGDATA"/*  # of a copy that was broken off
  pg_basebackup -D "$PGDATA" -d application_name=standby --checkpoint=fast -R -S standby
fi
exec postgres -p "${STANDBY_PORT:-5432}"
