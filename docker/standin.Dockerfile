# The tests' stand-in for SQL Edge's image: its paths, its user, its command line, and what runs under it; the engine
# is tests/standin. It is never shipped.
#
#     cargo build --example sqlservr
#     podman build -f docker/standin.Dockerfile --build-context engine=target/debug/examples docker/standin
#
# tests/pods makes BASE from the machine's own Debian: there is no registry where the tests run. The engine is linked
# against the C library of the machine that built it, so BASE must not be older.
ARG BASE=docker.io/library/debian:12.12-slim

FROM ${BASE}
COPY --from=engine sqlservr /opt/standin/sqlservr
COPY . /
RUN install -d -o 10001 -g 0 -m 0770 /var/opt/mssql
# As in the image: uid 10001, group root.
USER 10001:0
EXPOSE 1433
ENTRYPOINT ["/opt/mssql/bin/permissions_check.sh"]
# The image's own, word for word.
CMD ["/bin/sh", "-c", "/opt/mssql/bin/launchpadd -usens=false -enableOutboundAccess=true -usesameuser=true -sqlGroup root -- -reparentOrphanedDescendants=true -useDefaultLaunchers=false & /app/asdepackage/AsdePackage & /opt/mssql/bin/sqlservr"]
