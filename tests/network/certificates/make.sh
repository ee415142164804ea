#!/bin/sh
# Makes the certificates of these tests anew. They guard nothing, and are good for a hundred years;
# their keys are in the files, that of the authority is thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

key "$work/authority.key"
openssl req -x509 -new -key "$work/authority.key" -days 36500 -subj "/CN=Authority of the tests" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -out authority.pem

# name, subject alternative name, first and last day
leaf() {
    key "$work/$1.key"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n' "$2" > "$work/$1.ext"
    mkdir -p "$work/$1" && : > "$work/$1/index.txt"
    cat > "$work/$1.cnf" <<END
[ca]
default_ca = d
[d]
database = $work/$1/index.txt
new_certs_dir = $work/$1
rand_serial = yes
default_md = sha256
policy = p
[p]
commonName = supplied
END
    openssl ca -batch -notext -config "$work/$1.cnf" -cert authority.pem \
        -keyfile "$work/authority.key" -in "$work/$1.csr" -extfile "$work/$1.ext" \
        -startdate "$3" -enddate "$4" -out "$work/$1.crt" 2> /dev/null
    cat "$work/$1.crt" "$work/$1.key" > "$1.pem"
}

leaf good "IP:127.0.0.1,DNS:localhost" 20260101000000Z 21260101000000Z
leaf other_host "DNS:example.org" 20260101000000Z 21260101000000Z
leaf expired "IP:127.0.0.1,DNS:localhost" 20200101000000Z 20210101000000Z
