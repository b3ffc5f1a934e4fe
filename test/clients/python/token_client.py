"""Asks for a token with Debian's azure-identity as it is, and prints what came as one line of JSON: the claims and a
digest of the token, never the token itself.

    token_client.py <managed-identity|default> <resource> [client id of a user-assigned identity]
"""

import base64
import hashlib
import json
import sys
import time

from azure.identity import DefaultAzureCredential, ManagedIdentityCredential


def credential_of(kind, client_id):
    if kind == "managed-identity":
        return ManagedIdentityCredential(**({"client_id": client_id} if client_id else {}))
    if kind == "default":
        return DefaultAzureCredential(**({"managed_identity_client_id": client_id} if client_id else {}))
    raise ValueError(f'credential is "{kind}": expected "managed-identity" or "default"')


def claims_of(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def main():
    kind, resource, client_id = (sys.argv[1:] + [None] * 3)[:3]
    start = time.monotonic()
    try:
        token = credential_of(kind, client_id).get_token(f"{resource}/.default")
        result = {
            "ok": True,
            "sha256": hashlib.sha256(token.token.encode()).hexdigest(),
            "claims": claims_of(token.token),
            "expiresOn": token.expires_on,
        }
    except Exception as error:  # whatever it is, it is the result
        result = {"ok": False, "error": type(error).__name__, "message": str(error)}
    result["elapsedMillis"] = round((time.monotonic() - start) * 1000)
    print(json.dumps(result))


main()
