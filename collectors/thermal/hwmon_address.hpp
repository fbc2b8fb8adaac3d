// The address of the device behind a sensor chip, which must be the same after a reboot: labels with it are kept for
// years, and the energy of power supplies is counted under them. The numbers of SCSI hosts, of ATA ports, of HID
// devices and of USB buses follow the order of probing. bus_address is pure; device_address reads small files: lanes
// only, or before the loop runs.
// Sources: Documentation/ABI/testing/sysfs-ata (port_no), drivers/scsi/scsi_sysfs.c (wwid), Documentation/ABI/stable/
// sysfs-bus-usb and usb_make_path() in linux/usb.h (usb-0000:00:14.0-5).
#pragma once

#include <filesystem>
#include <string>

namespace perjoule {

// `relative`: the path of the chip's device below the root of sysfs, without symlinks.
//   SCSI and SATA disks   their WWID ("naa.5000c500a1b2c3d4"), else the controller and its port or target
//                         ("0000:00:17.0-port0", "0000:02:00.0-0:0:0")
//   USB devices           the controller and the path of ports ("usb-0000:00:14.0-5:1.0")
//   other HID devices     vendor and product, without the running number ("0018:06CB:CE44")
//   all others            bus_address()
[[nodiscard]] std::string device_address(const std::filesystem::path& sysfs, const std::filesystem::path& relative);

// The last component with a digit and one of ":.-" (names of PCI, I2C, platform, SCSI and ACPI devices); "" where no
// component is one. hwmonN and similar numbers do not match, because they change between boots.
[[nodiscard]] std::string bus_address(const std::filesystem::path& relative);

}  // namespace perjoule
