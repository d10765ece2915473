"""Authlib (https://github.com/authlib/authlib) under Flask, in the style of its documentation: access tokens are JWTs
signed with ES256, devices are told to slow down, and the issuer ends in a slash. It says where it is in one line of
JSON, and ends with its standard input."""

import argparse
import json
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from html import escape

import authlib
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants, list_to_scope, scope_to_list
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from authlib.oauth2.rfc8628.models import DeviceCredentialDict
from authlib.oauth2.rfc9068 import (
    JWTBearerTokenGenerator,
    JWTBearerTokenValidator,
    JWTIntrospectionEndpoint,
    JWTRevocationEndpoint,
)
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, jsonify, request
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--certificate")
arguments.add_argument("--key")
arguments = arguments.parse_args()

app = Flask(__name__)
tls = (arguments.certificate, arguments.key) if arguments.certificate else None
http = make_server("127.0.0.1", arguments.port, app, threaded=True, ssl_context=tls)
ORIGIN = f"http{'s' if tls else ''}://127.0.0.1:{http.server_port}"
ISSUER = f"{ORIGIN}/"
SCOPES = ["photos", "profile"]
KEY = ECKey.generate_key("P-256", {"kid": "interop", "use": "sig", "alg": "ES256"})


# The store.


@dataclass
class User:
    name: str

    def get_user_id(self):
        return self.name


class Client(ClientMixin):
    def __init__(self, registered):
        self.client_id = registered["client_id"]
        self.secret = registered.get("client_secret")
        self.method = registered["token_endpoint_auth_method"]
        self.redirect_uris = ["http://127.0.0.1:8917/callback"]

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return list_to_scope([each for each in scope_to_list(scope or "") if each in SCOPES])

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret):
        return self.secret == client_secret

    def check_endpoint_auth_method(self, method, endpoint):
        return self.method == method

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type != "client_credentials" or self.secret is not None


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    user: User
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


@dataclass
class RefreshToken(TokenMixin):
    token: str
    client_id: str
    scope: str
    user: User
    family: list = field(default_factory=list)
    spent: bool = False

    def check_client(self, client):
        return self.client_id == client.client_id

    def get_scope(self):
        return self.scope

    def is_expired(self):
        return False

    def is_revoked(self):
        return self.spent


with open("../clients.json") as file:
    clients = {client["client_id"]: Client(client) for client in json.load(file)}
codes = {}
refresh_tokens = {}
devices = {}
decisions = {}


def save_token(token, oauth_request):
    if "refresh_token" in token:
        used = getattr(oauth_request, "refresh_token", None)
        saved = RefreshToken(
            token["refresh_token"], oauth_request.client.client_id, token.get("scope"), oauth_request.user
        )
        if used is not None:
            saved.family = used.family
        saved.family.append(saved)
        refresh_tokens[saved.token] = saved


# The grants.


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def save_authorization_code(self, code, oauth_request):
        payload = oauth_request.payload
        codes[code] = Code(
            code,
            oauth_request.client.client_id,
            payload.redirect_uri,
            payload.scope,
            oauth_request.user,
            payload.data.get("code_challenge"),
            payload.data.get("code_challenge_method"),
        )

    def query_authorization_code(self, code, client):
        found = codes.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code):
        codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code):
        return authorization_code.user


class ClientCredentialsGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class RefreshTokenGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        found = refresh_tokens.get(refresh_token)
        if found and found.spent:
            # Somebody has a copy: the whole family ends.
            for relative in found.family:
                relative.spent = True
        return found if found and not found.spent else None

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.spent = True


class DeviceGrant(DeviceCodeGrant):
    def query_device_credential(self, device_code):
        return devices.get(device_code)

    def query_user_grant(self, user_code):
        return decisions.get(user_code)

    def should_slow_down(self, credential):
        # The first to ask is told to slow down, whoever it is.
        credential["asked"] = credential.get("asked", 0) + 1
        return credential["asked"] == 1


class DeviceAuthorization(DeviceAuthorizationEndpoint):
    INTERVAL = 1

    def get_verification_uri(self):
        return f"{ORIGIN}/device"

    def save_device_credential(self, client_id, scope, data):
        expires_at = time.time() + data["expires_in"]
        devices[data["device_code"]] = DeviceCredentialDict(
            data, client_id=client_id, scope=scope, expires_at=expires_at
        )


# The tokens.


class Tokens(JWTBearerTokenGenerator):
    def get_jwks(self):
        return KEY

    def get_audiences(self, client, user, scope):
        return ORIGIN


def lifetime(client, grant_type):
    return 4 if client.client_id == "brief" else 3600


class Introspection(JWTIntrospectionEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def get_jwks(self):
        return KEY

    def check_permission(self, token, client, oauth_request):
        return True


class OpaqueIntrospection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = Introspection.CLIENT_AUTH_METHODS

    def check_permission(self, token, client, oauth_request):
        return True

    def query_token(self, token_string, token_type_hint):
        return refresh_tokens.get(token_string)

    def introspect_token(self, token):
        return {"client_id": token.client_id, "scope": token.scope, "sub": token.user.name}


class Revocation(JWTRevocationEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]

    def get_jwks(self):
        return KEY


class OpaqueRevocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = Revocation.CLIENT_AUTH_METHODS

    def query_token(self, token_string, token_type_hint):
        return refresh_tokens.get(token_string)

    def revoke_token(self, token, oauth_request):
        for relative in token.family:
            relative.spent = True


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return KEY


class Issuer(IssuerParameter):
    def get_issuer(self):
        return ISSUER


app.config["OAUTH2_SCOPES_SUPPORTED"] = SCOPES
oauth = AuthorizationServer(app, query_client=clients.get, save_token=save_token)
oauth.register_token_generator(
    "default",
    Tokens(
        ISSUER,
        alg="ES256",
        refresh_token_generator=lambda **_: os.urandom(32).hex(),
        expires_generator=lifetime,
    ),
)
oauth.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
oauth.register_grant(RefreshTokenGrant)
oauth.register_grant(ClientCredentialsGrant)
oauth.register_grant(DeviceGrant)
oauth.register_extension(Issuer())
oauth.register_endpoint(DeviceAuthorization)
oauth.register_endpoint(Introspection(issuer=ISSUER))
oauth.register_endpoint(OpaqueIntrospection)
oauth.register_endpoint(Revocation(issuer=ISSUER))
oauth.register_endpoint(OpaqueRevocation)
protected = ResourceProtector()
protected.register_token_validator(Validator(issuer=ISSUER, resource_server=ORIGIN))


# The pages.


@app.get("/.well-known/oauth-authorization-server")
def metadata():
    return jsonify(
        issuer=ISSUER,
        authorization_endpoint=f"{ORIGIN}/authorize",
        token_endpoint=f"{ORIGIN}/token",
        revocation_endpoint=f"{ORIGIN}/revoke",
        introspection_endpoint=f"{ORIGIN}/introspect",
        device_authorization_endpoint=f"{ORIGIN}/device_authorization",
        response_types_supported=["code"],
        scopes_supported=SCOPES,
        code_challenge_methods_supported=["S256"],
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post", "none"],
        authorization_response_iss_parameter_supported=True,
    )


@app.route("/authorize", methods=["GET", "POST"])
@app.route("/authorize/abort", methods=["GET"], endpoint="abort")
def authorize():
    try:
        grant = oauth.get_consent_grant()
    except OAuth2Error as error:
        return oauth.handle_error_response(request, error)
    if request.endpoint == "abort":
        return oauth.create_authorization_response(grant=grant)
    if request.method == "POST":
        return oauth.create_authorization_response(grant=grant, grant_user=User(request.form["login"]))
    return page("/authorize", request.query_string.decode())


@app.route("/device", methods=["GET", "POST"])
@app.route("/device/abort", methods=["GET"], endpoint="device_abort")
def device():
    user_code = request.values.get("user_code")
    if request.endpoint == "device_abort":
        decisions[user_code] = (None, False)
        return "You may close this page."
    if request.method == "POST":
        decisions[user_code] = (User(request.form["login"]), True)
        return "You may close this page."
    return page("/device", request.query_string.decode())


def page(action, query):
    query = escape(query)
    return f"""<!doctype html><form method="post" action="{action}?{query}">
        <input name="login"><button>Allow</button></form> <a href="{action}/abort?{query}">Deny</a>"""


@app.post("/token")
def token():
    return oauth.create_token_response()


@app.post("/revoke")
def revoke():
    return oauth.create_endpoint_response("revocation")


@app.post("/introspect")
def introspect():
    return oauth.create_endpoint_response("introspection")


@app.post("/device_authorization")
def device_authorization():
    return oauth.create_endpoint_response("device_authorization")


@app.route("/me")
@protected("photos")
def me():
    return jsonify(sub=current_token["sub"], client_id=current_token["client_id"])


def end_with_input():
    sys.stdin.read()
    os._exit(0)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
threading.Thread(target=end_with_input, daemon=True).start()
print(
    json.dumps({"name": "authlib", "version": authlib.__version__, "issuer": ISSUER, "resource": f"{ORIGIN}/me"}),
    flush=True,
)
http.serve_forever()
