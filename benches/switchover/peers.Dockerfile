# What the side-by-side of the bench runs beside matron: PostgreSQL 15 with repmgr and Patroni as Debian 12 packages them.
FROM matron-lab/base:bookworm
RUN apt-get update \
 && mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      postgresql-15 repmgr postgresql-15-repmgr patroni python3-etcd etcd-server etcd-client \
      openssh-server openssh-client sudo locales procps iproute2 \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /run/sshd
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["sleep", "infinity"]
