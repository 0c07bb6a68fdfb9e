"""Who may look: one password, its hash alone in memory, a login page of our own, a limit on guesses."""

from __future__ import annotations

import os
import secrets
import time
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from traitlets import Unicode
from voila.voila_identity_provider import VoilaLoginHandler

from workbench.core.paths import home
from workbench.views.text import plain

PASSWORD_VARIABLE = "WORKBENCH_DASHBOARD_PASSWORD"
GUESSES = 8
"""Wrong passwords allowed in :data:`WINDOW_S`, all visitors together."""
WINDOW_S = 60.0


def password_file() -> Path:
    """File of the generated password, readable by its owner only."""
    return home() / ".cache" / "dashboard_password"


def dashboard_password(given: str | None = None) -> tuple[str, Path | None]:
    """Password of the dashboards, and the file it lies in when it was generated.

    The argument wins over ``$WORKBENCH_DASHBOARD_PASSWORD``; without either a password is generated once and kept
    in a file of mode 0600.
    """
    if chosen := given or os.environ.get(PASSWORD_VARIABLE):
        return chosen, None
    path = password_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        return path.read_text("utf-8").strip(), path
    password = secrets.token_urlsafe(12)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(password + "\n")
    return password, path


def hash_password(password: str) -> str:
    """Salted hash for the identity provider."""
    from jupyter_server.auth import passwd

    return str(passwd(password))


@cache
def _login_template() -> Any:
    import jinja2

    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True)
    return environment.get_template("login.html")


class LoginHandler(VoilaLoginHandler):  # type: ignore[misc]
    """The login page in the dashboard's language."""

    def _render(self, message: dict[str, str] | None = None) -> None:
        provider = self.identity_provider
        lang = provider.language
        text = ""
        if message:
            text = plain("dashboard.wait" if provider.locked() else "dashboard.login_wrong", lang)
        self.set_header(
            "Content-Security-Policy",
            "default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'",
        )
        self.write(
            _login_template().render(
                lang=lang,
                title=plain("dashboard.page", lang),
                heading=plain("dashboard.login_title", lang),
                password=plain("dashboard.login_password", lang),
                button=plain("dashboard.login_button", lang),
                message=text,
                base_url=self.base_url,
                action=self.request.uri,
                xsrf=self.xsrf_form_html(),
            )
        )

    @allow_unauthenticated  # type: ignore[untyped-decorator]
    def get(self) -> None:
        """Show the form."""
        super().get()

    @allow_unauthenticated  # type: ignore[untyped-decorator]
    def post(self) -> None:
        """Check the password."""
        super().post()


class LogoutHandler(JupyterHandler):  # type: ignore[misc]
    """Forget the visitor and show the login page."""

    @allow_unauthenticated  # type: ignore[untyped-decorator]
    def get(self) -> None:
        """Clear the session's cookie."""
        self.identity_provider.clear_login_cookie(self)
        self.redirect(f"{self.base_url}login")


class OnePassword(PasswordIdentityProvider):  # type: ignore[misc]
    """Everybody who knows the password may look; nobody can change it from a browser."""

    language = Unicode("zh", config=True, help="Language of the login page.")

    def __init__(self, **kwargs: Any) -> None:
        kwargs["login_handler_class"] = LoginHandler
        kwargs["logout_handler_class"] = LogoutHandler
        super().__init__(**kwargs)
        self.allow_password_change = False
        self._wrong: list[float] = []

    def locked(self) -> bool:
        """Whether there were too many wrong passwords of late."""
        since = time.monotonic() - WINDOW_S
        self._wrong = [moment for moment in self._wrong if moment > since]
        return len(self._wrong) >= GUESSES

    def process_login_form(self, handler: Any) -> User | None:
        """Return the user when the password is right and guesses are left."""
        if self.locked() or not self.hashed_password:
            return None
        if self.passwd_check(handler.get_argument("password", default="")):
            return self.generate_anonymous_user(handler)
        self._wrong.append(time.monotonic())
        return None
