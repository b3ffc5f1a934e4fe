"""Asks for a token with one of Debian's Azure SDKs as it is, and prints what came as one line of JSON: the claims and a
digest of the token, never the token itself. The argument is a request of `test/lab/product.ts` as JSON.
"""

import base64
import hashlib
import json
import sys
import time


def encoded(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def last_credential():
    from azure.core.credentials import AccessToken

    class LastCredential:
        def get_token(self, *scopes, **kwargs):
            return AccessToken(f"e30.{encoded({'sub': 'last-credential'})}.", int(time.time()) + 3600)

    return LastCredential()


def managed_identity(client_id, resource_id):
    from azure.identity import ManagedIdentityCredential

    if client_id is not None:
        return ManagedIdentityCredential(client_id=client_id)
    if resource_id is not None:
        return ManagedIdentityCredential(identity_config={"mi_res_id": resource_id})
    return ManagedIdentityCredential()


def azure_identity_credential(kind, client_id, resource_id):
    from azure.identity import ChainedTokenCredential, DefaultAzureCredential

    if kind == "managed-identity":
        return managed_identity(client_id, resource_id)
    if kind == "default":
        return DefaultAzureCredential(**({"managed_identity_client_id": client_id} if client_id else {}))
    if kind == "chained":
        return ChainedTokenCredential(managed_identity(client_id, resource_id), last_credential())
    raise ValueError(f'credential is "{kind}": expected "managed-identity", "default" or "chained"')


def azure_identity_source(request):
    credential = azure_identity_credential(
        request["credential"], request.get("clientId"), request.get("resourceId")
    )

    def get_token():
        token = credential.get_token(f"{request['resource']}/.default")
        return token.token, token.expires_on

    return get_token


def msrestazure_source(request):
    from msrestazure.azure_active_directory import MSIAuthentication

    named = {"client_id": request.get("clientId"), "msi_res_id": request.get("resourceId")}
    identity = {name: value for name, value in named.items() if value is not None}

    def get_token():
        token = MSIAuthentication(resource=request["resource"], **identity).token
        return token["access_token"], int(token["expires_on"])

    return get_token


LIBRARIES = {"azure-identity": azure_identity_source, "msrestazure": msrestazure_source}


def wait_until_told():
    """Everything is loaded; the request begins when the test says so."""
    print("ready", flush=True)
    sys.stdin.readline()


def text_of(error):
    # msrestazure raises an error that has the answer and no text.
    response = getattr(error, "response", None)
    return str(error) or f"status {getattr(response, 'status', 'unknown')}"


def claims_of(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def main():
    request = json.loads(sys.argv[1])
    get_token = LIBRARIES[request["library"]](request)
    if request.get("waits"):
        wait_until_told()
    start = time.monotonic()
    try:
        token, expires_on = get_token()
        result = {
            "ok": True,
            "sha256": hashlib.sha256(token.encode()).hexdigest(),
            "claims": claims_of(token),
            "expiresOn": expires_on,
        }
    except Exception as error:  # whatever it is, it is the result
        result = {"ok": False, "error": type(error).__name__, "message": text_of(error)}
    result["elapsedMillis"] = round((time.monotonic() - start) * 1000)
    print(json.dumps(result))


main()
