# Puts the servers of Debian's suite $2 into the directory $1, with the libraries
# that they were built against, from the mirror $3. Nothing of the machine is changed.
out=$1 suite=$2 mirror=$3
mkdir -p "$out/apt/lists/partial" "$out/apt/cache/archives/partial" "$out/apt/parts"
: >"$out/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$out/apt/sources.list"
apt-config dump Acquire::http::Proxy >"$out/apt/apt.conf"
cat >>"$out/apt/apt.conf" <<EOF
Dir::State "$out/apt";
Dir::State::status "$out/apt/status";
Dir::Cache "$out/apt/cache";
Dir::Etc::sourcelist "$out/apt/sources.list";
Dir::Etc::sourceparts "$out/apt/parts";
Dir::Etc::preferencesparts "$out/apt/parts";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "";
EOF
export APT_CONFIG="$out/apt/apt.conf"
apt-get -q update
apt-get -q -y --no-install-recommends --download-only install redis-server valkey-server patchelf
for package in "$out"/apt/cache/archives/*.deb; do
	case ${package##*/} in
	redis-* | valkey-* | patchelf* | lib* | zlib1g*) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$out" ./usr ;;
	esac
done
rm -rf "$out/apt" "$out/usr/share"
libraries=$(dirname "$(ls "$out"/usr/lib/*/libc.so.6)")
loader=$(ls "$libraries"/ld-linux-*.so.*)
# They find their loader and libraries at the place where they are going to be.
final=${out%.part}${libraries#"$out"}
for server in redis-check-rdb valkey-check-rdb; do
	"$loader" --library-path "$libraries" "$out/usr/bin/patchelf" \
		--set-interpreter "$final/${loader##*/}" --force-rpath --set-rpath "$final" "$out/usr/bin/$server"
done
