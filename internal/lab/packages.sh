# Makes an apt repository in the directory $1 with the packages $4… and the
# sources of Redis, for an image whose files are in $2, from the sources.list $3.
out=$1 root=$2 sources=$3
shift 3
mkdir "$out/upper" "$out/work" "$out/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$out/upper,workdir=$out/work" "$out/root"
echo "$sources" | sed 'p; s/^deb /deb-src /' >"$out/root/etc/apt/sources.list"
cp -L /etc/resolv.conf "$out/root/etc/resolv.conf"
apt-config dump Acquire::http::Proxy >"$out/root/etc/apt/apt.conf.d/machine"
chroot "$out/root" apt-get -q -o Acquire::Retries=3 update
wanted=
for package; do
	if chroot "$out/root" apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then wanted="$wanted $package"; fi
done
# One at a time: what two of them both need has to be there for each alone.
for package in $wanted; do
	chroot "$out/root" apt-get -q -y --no-install-recommends --download-only install "$package"
done
# The sources of the server, for hosts that build it themselves.
chroot "$out/root" sh -c 'cd /tmp && apt-get -q source --download-only --tar-only redis'
mv "$out"/root/tmp/redis_*.orig.tar.gz "$out"
mv "$out"/root/var/cache/apt/archives/*.deb "$out"
umount "$out/root"
rm -rf "$out/upper" "$out/work" "$out/root"
cd "$out"
# apt and apt-ftparchive disagree on how other characters travel in an address.
for file in *.deb; do
	plain=$(echo "$file" | tr -c 'A-Za-z0-9._\n-' _)
	[ "$plain" = "$file" ] || mv "$file" "$plain"
done
apt-ftparchive packages . >Packages
apt-ftparchive release . >Release.new
mv Release.new Release
