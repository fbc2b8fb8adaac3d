# Rules to install, and the Debian package: cmake --build build/release && (cd build/release && cpack -G DEB)
set(CPACK_PACKAGE_NAME perjoule)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
# Sorts before 0.1.0-1, so that a package of Debian itself would replace this one.
set(CPACK_DEBIAN_PACKAGE_RELEASE 0perjoule1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The perjoule authors <perjoule@users.noreply.github.com>")
set(PERJOULE_DEBIAN_VERSION ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})

# changelog.Debian has the date of the commit (or SOURCE_DATE_EPOCH), so that it does not depend on the build time.
set(epoch $ENV{SOURCE_DATE_EPOCH})
if(NOT epoch)
  execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} log -1 --format=%ct
    OUTPUT_VARIABLE epoch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT epoch)
  set(epoch 0)
endif()
execute_process(COMMAND date --utc --rfc-email --date=@${epoch}
  OUTPUT_VARIABLE PERJOULE_DEBIAN_DATE OUTPUT_STRIP_TRAILING_WHITESPACE)
configure_file(${PROJECT_SOURCE_DIR}/deploy/debian/changelog.in ${PROJECT_BINARY_DIR}/package/changelog.Debian @ONLY)

include(GNUInstallDirs)
set(documents ${CMAKE_INSTALL_DATADIR}/doc/perjoule)
set(shared ${CMAKE_INSTALL_DATADIR}/perjoule)

# install_gzipped(SOURCE NAME DESTINATION) compresses at install time and not at build time: cpack and `cmake --install`
# then work after any build that made perjouled, such as `--target perjouled` in quickstart.sh, and the file is never
# older than its source. -n leaves time and name out, so that the bytes are the same each time.
function(install_gzipped source name destination)
  set(out ${PROJECT_BINARY_DIR}/package/${name}.gz)
  install(CODE "execute_process(COMMAND gzip -9nc [==[${source}]==] OUTPUT_FILE [==[${out}]==]
    COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${out} DESTINATION ${destination})
endfunction()

set(deploy ${PROJECT_SOURCE_DIR}/deploy)
install(TARGETS perjouled RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/config/perjoule.json DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/perjoule)
install(FILES ${deploy}/debian/perjouled.default DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/default RENAME perjouled)
install(FILES ${deploy}/systemd/perjouled.service DESTINATION lib/systemd/system)
install(FILES ${deploy}/systemd/sysusers.d/perjouled.conf DESTINATION lib/sysusers.d)
install(FILES ${deploy}/systemd/tmpfiles.d/perjouled.conf DESTINATION lib/tmpfiles.d)
install(DIRECTORY ${deploy}/systemd/perjouled.service.d/ DESTINATION ${shared}/systemd)
install(FILES ${PROJECT_SOURCE_DIR}/config/perjoule.schema.json DESTINATION ${shared})
foreach(folder grafana prometheus runbooks)
  if(IS_DIRECTORY ${deploy}/${folder})
    install(DIRECTORY ${deploy}/${folder} DESTINATION ${shared})
  endif()
endforeach()
install(FILES ${deploy}/debian/copyright DESTINATION ${documents})
install(FILES ${PROJECT_SOURCE_DIR}/SECURITY.md ${deploy}/metrics.md ${deploy}/configuration.md
        DESTINATION ${documents})
install(FILES ${deploy}/alertmanager.example.yml DESTINATION ${documents})
install(FILES ${deploy}/systemd/README.md DESTINATION ${documents} RENAME systemd.md)
install_gzipped(${PROJECT_SOURCE_DIR}/CHANGELOG.md changelog ${documents})
install_gzipped(${PROJECT_BINARY_DIR}/package/changelog.Debian changelog.Debian ${documents})
install_gzipped(${deploy}/man/perjouled.8 perjouled.8 ${CMAKE_INSTALL_MANDIR}/man8)
install_gzipped(${deploy}/man/perjoule.json.5 perjoule.json.5 ${CMAKE_INSTALL_MANDIR}/man5)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "power, thermal and efficiency telemetry for AI datacenter nodes")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"perjouled samples power, temperature and utilisation sensors of a node (RAPL,
hwmon, thermal zones, NVIDIA GPUs), keeps energy totals that never fall and
their history in SQLite on the node itself, and serves them to Prometheus.
.
A device that hangs costs its own series and nothing else; a device that is
gone is absent and never zero; every joule says whether hardware counted it,
or whether it was integrated or modelled.")
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deploy}/debian/conffiles ${deploy}/debian/postinst ${deploy}/debian/prerm
    ${deploy}/debian/postrm)
# Without these two tools CPack would make a package without dependencies.
find_program(PERJOULE_SHLIBDEPS dpkg-shlibdeps)
find_program(PERJOULE_FILE file)
if(PERJOULE_SHLIBDEPS AND PERJOULE_FILE)
  include(CPack)
else()
  message(STATUS "cpack cannot make a Debian package: install the packages dpkg-dev and file, then configure again")
endif()
