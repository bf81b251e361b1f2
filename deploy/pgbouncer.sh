#!/bin/sh
# PgBouncer in front of PostgreSQL: many servers share few connections, transaction by transaction.
set -eu
umask 077
folder=$(mktemp -d)
printf '"monitor" "%s"\n' "$POSTGRES_PASSWORD" > "$folder/users"
cat > "$folder/pgbouncer.ini" <<END
[databases]
* = host=${DATABASE_HOST:-postgres} port=${DATABASE_PORT:-5432}
[pgbouncer]
listen_addr = *
listen_port = ${POOLER_PORT:-6432}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $folder/users
pool_mode = transaction
default_pool_size = 40
max_client_conn = 1000
END
exec pgbouncer "$folder/pgbouncer.ini"
