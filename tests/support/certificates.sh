#!/bin/bash
# certificates.sh DIR: a certificate authority of the tests' own, and what it has signed; PEM, NAME.crt with NAME.key.
#   ca           the authority            other-ca     one that nobody trusts
#   server       localhost, origin.test, 127.0.0.1, ::1     expired, wrong-host, self-signed, other     bad servers of these kinds
#   client       for a client
set -euo pipefail
cd "$1"
authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Tests $1" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
signed() { # NAME AUTHORITY ALTERNATIVE-NAMES FIRST-DAY LAST-DAY
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    mkdir -p "$1.db" && : >"$1.db/index" && openssl rand -hex 8 >"$1.db/serial"
    cat >"$1.db/conf" <<CONF
[ca]
default_ca = us
[us]
database = $1.db/index
serial = $1.db/serial
new_certs_dir = $1.db
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[extensions]
subjectAltName = $3
basicConstraints = CA:FALSE
CONF
    openssl ca -batch -notext -config "$1.db/conf" -extensions extensions -in "$1.csr" -out "$1.crt" -cert "$2.crt" -keyfile "$2.key" \
        -startdate "$4" -enddate "$5" 2>/dev/null
    rm -rf "$1.db" "$1.csr"
}
from=$(date -u -d yesterday +%Y%m%d%H%M%SZ) to=$(date -u -d '+10 years' +%Y%m%d%H%M%SZ)
authority ca
authority other-ca
here=DNS:localhost,DNS:origin.test,IP:127.0.0.1,IP:::1
signed server ca $here "$from" "$to"
signed expired ca $here 20200101000000Z 20210101000000Z
signed wrong-host ca DNS:elsewhere.example "$from" "$to"
signed other other-ca $here "$from" "$to"
signed client ca DNS:client "$from" "$to"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost -addext "subjectAltName=$here" \
    -keyout self-signed.key -out self-signed.crt 2>/dev/null
chmod 644 ./*.key
