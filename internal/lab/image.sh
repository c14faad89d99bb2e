# Makes the root directory $1 of an image: suite $2 from mirror $3 with the
# packages $4 (by commas), for hosts that find a repository at address $5 and
# that have the users $6, who may sudo, and $7, who may not.
debootstrap --variant=minbase --include="$4" "$2" "$1" "$3"
echo "deb [trusted=yes] http://$5/$2 ./" >"$1/etc/apt/sources.list"
rm -rf "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/archives/*.deb
for user in "$6" "$7"; do
	chroot "$1" useradd --create-home --shell /bin/bash "$user"
done
echo "$6 ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/cloud"
chmod 440 "$1/etc/sudoers.d/cloud"
chroot "$1" systemctl enable systemd-networkd ssh
# Each host has its own.
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/machine-id" "$1/etc/hostname" "$1/etc/resolv.conf"
