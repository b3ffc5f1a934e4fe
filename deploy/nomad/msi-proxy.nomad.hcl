# Proxy and monitor on each node with Docker. docs/nomad.md says what the nodes' configuration has to allow.

# Of the images. Never latest, for which Nomad asks a registry even where the image is on the node.
variable "proxy_tag" {
  type    = string
  default = "0.1.0"
}

variable "monitor_tag" {
  type    = string
  default = "0.1.0"
}

job "msi-proxy" {
  type        = "system"
  datacenters = ["*"]

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }

  # One node after the other. Requests of a node are held while its proxy is replaced.
  update {
    max_parallel = 1
  }

  group "monitor" {
    # Nomad's own limit is two restarts in half an hour, after which it waits for the next one.
    restart {
      attempts = 10
      interval = "30s"
      delay    = "2s"
      mode     = "delay"
    }

    task "msi-monitor" {
      driver       = "docker"
      kill_timeout = "15s"

      config {
        image        = "msi-proxy/monitor:${var.monitor_tag}"
        network_mode = "host"
        # The folder, not the socket: the engine makes a new one at each start.
        volumes         = ["/var/run:/host/run"]
        cap_drop        = ["all"]
        cap_add         = ["net_admin"]
        readonly_rootfs = true
        security_opt    = ["no-new-privileges"]
        pids_limit      = 64

        mount {
          type   = "tmpfs"
          target = "/run"
        }
      }

      env {
        DOCKER_HOST = "unix:///host/run/docker.sock"
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }

  group "proxy" {
    # Nomad's own limit is two restarts in half an hour, after which it waits for the next one.
    restart {
      attempts = 10
      interval = "30s"
      delay    = "2s"
      mode     = "delay"
    }

    task "msi-proxy" {
      driver       = "docker"
      kill_timeout = "15s"

      # On Docker's own bridge: the monitor connects it to msi-proxy-net, which is not there before the monitor is.
      config {
        image = "msi-proxy/proxy:${var.proxy_tag}"
        labels = {
          MSIProxyContainer = ""
        }
        cap_drop        = ["all"]
        cap_add         = ["net_admin", "setuid", "setgid"]
        readonly_rootfs = true
        security_opt    = ["no-new-privileges"]
        pids_limit      = 64

        mount {
          type   = "tmpfs"
          target = "/run"
        }
      }

      resources {
        cpu    = 100
        memory = 256
      }
    }
  }
}
