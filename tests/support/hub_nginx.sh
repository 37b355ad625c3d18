# shellcheck shell=bash
# hub_nginx.sh: nginx before a hub, as docs/admin/hub.md says.

# free_port: one that nobody listens on
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# nginx_before HUB-PORT PORT CERTS: the documentation's example, on that port; NGINX is its process.
nginx_before() {
    local conf=$T/nginx
    mkdir -p "$conf"
    {
        echo "daemon off; $([ "$(id -u)" != 0 ] || echo "user root;") pid $conf/pid; error_log $conf/error; events { } http {"
        echo "access_log $conf/access; client_body_temp_path $conf; proxy_temp_path $conf; fastcgi_temp_path $conf; uwsgi_temp_path $conf; scgi_temp_path $conf;"
        sed -n '/^    map \$http_upgrade/,/^    }$/p' "$SG_SOURCE/docs/admin/hub.md" |
            sed "s#listen 443 ssl#listen 127.0.0.1:$2 ssl#; s#server_name .*;#server_name localhost;#; s#/etc/ssl/hub.pem#$3/server.crt#; s#/etc/ssl/hub.key#$3/server.key#; s#http://127.0.0.1:8080#http://127.0.0.1:$1#"
        echo "}"
    } >"$conf/conf"
    nginx -e "$conf/error" -c "$conf/conf" 2>"$conf/said" &
    NGINX=$!
    for ((i = 0; i < 200; i++)); do
        curl -sk -o /dev/null "https://127.0.0.1:$2/healthz" && return
        kill -0 "$NGINX" 2>/dev/null || break
        sleep 0.05
    done
    fail "nginx does not start: $(cat "$conf/said" "$conf/error")"
}
