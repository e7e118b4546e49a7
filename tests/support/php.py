"""A real PHP-FPM behind nginx, which serves what a link shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.nginx import wait_for
from support.process import started
from support.sshd import free_port
from support.tools import cannot, needs, searched

FPM = """
[global]
error_log = {here}/fpm.log
daemonize = no
[www]
{user}listen = 127.0.0.1:{port}
pm = static
pm.max_children = 4
listen.backlog = 1024
php_admin_value[opcache.enable] = 1
"""
NGINX = """
{user}daemon off;
worker_processes 1;
pid {here}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {link};
        location ~ \\.php$ {{
            fastcgi_pass 127.0.0.1:{fpm};
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
            fastcgi_param DOCUMENT_ROOT $realpath_root;
        }}
    }}
}}
"""


@contextmanager
def php(link: Path, here: Path) -> Iterator[str]:
    """Serve the PHP files of a link for the body; give the address."""
    here.mkdir(mode=0o755)
    port, fpm = free_port(), free_port()
    root = here.owner() == "root"
    user = "user = root\ngroup = root\n" if root else ""
    pool, config = here / "fpm.conf", here / "nginx.conf"
    pool.write_text(FPM.format(here=here, port=fpm, user=user))
    user = "user root;\n" if root else ""
    config.write_text(NGINX.format(here=here, port=port, fpm=fpm, link=link, user=user))
    as_root = ["-R"] if root else []
    with (
        started(
            php_fpm(), "-n", "-d", "zend_extension=opcache", *as_root, "-F", "-y", pool
        ),
        started(needs("nginx"), "-e", here / "error.log", "-c", config),
    ):
        wait_for(fpm)
        wait_for(port)
        yield f"http://127.0.0.1:{port}/"


def php_fpm() -> str:
    """Return PHP-FPM, whose name has its version on Debian."""
    places = [Path(directory) for directory in searched().split(":")]
    programs = [path for place in places for path in sorted(place.glob("php-fpm*"))]
    if not programs:
        cannot("php-fpm is missing; `make test` as root installs it")
    return str(programs[-1])
