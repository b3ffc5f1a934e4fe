# An example of a client: it asks for a token every minute, and prints until when it is valid. Yours needs its labels only.

variable "tag" {
  type        = string
  default     = "0.1.0"
  description = "Of the image. Never latest, for which Nomad asks a registry even where the image is on the node"
}

job "orders" {
  type        = "service"
  datacenters = ["*"]

  group "orders" {
    # No network block: see docs/nomad.md.
    task "orders" {
      driver = "docker"

      config {
        image = "msi-proxy/client:${var.tag}"
        labels = {
          MSIClientContainer        = ""
          "com.msi-proxy.identity"  = "system"
          "com.msi-proxy.resources" = "https://vault.azure.net"
        }
        command = "node"
        args    = ["/local/client.mjs"]
      }

      template {
        destination = "local/client.mjs"
        data        = <<-EOT
          const url = 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net';
          async function ask() {
            const answer = await fetch(url, { headers: { Metadata: 'true' } });
            const body = await answer.json();
            console.log(answer.status, answer.ok ? new Date(body.expires_on * 1000).toISOString() : body.error_description);
          }
          process.once('SIGTERM', () => process.exit());
          setInterval(() => ask().catch(console.error), 60_000);
          ask().catch(console.error);
        EOT
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
