#include "metadata/scripts.hpp"

namespace sg {

namespace {

// Every action begins with this: the environment of the image.
#define SOURCE_ENVIRONMENT                         \
    "for script in /.singularity.d/env/*.sh; do\n" \
    "    if [ -f \"$script\" ]; then\n"            \
    "        . \"$script\"\n"                      \
    "    fi\n"                                     \
    "done\n"

constexpr std::string_view action_exec =
    "#!/bin/sh\n"
    "# Runs a command in the image's environment.\n"
    "\n" SOURCE_ENVIRONMENT
    "\n"
    "exec \"$@\"\n";

constexpr std::string_view action_run =
    "#!/bin/sh\n"
    "# Runs what the image was made for, or the app that was asked for.\n"
    "\n" SOURCE_ENVIRONMENT
    "\n"
    "if [ -n \"${SINGULARITY_APPNAME:-}\" ]; then\n"
    "    if [ -x \"/scif/apps/$SINGULARITY_APPNAME/scif/runscript\" ]; then\n"
    "        exec \"/scif/apps/$SINGULARITY_APPNAME/scif/runscript\" \"$@\"\n"
    "    fi\n"
    "    echo \"No runscript for contained app: $SINGULARITY_APPNAME\" >&2\n"
    "    exit 1\n"
    "fi\n"
    "\n"
    "if [ -x /.singularity.d/runscript ]; then\n"
    "    exec /.singularity.d/runscript \"$@\"\n"
    "fi\n"
    "echo \"No runscript found in container, executing /bin/sh\" >&2\n"
    "exec /bin/sh \"$@\"\n";

constexpr std::string_view action_shell =
    "#!/bin/sh\n"
    "# Starts the shell that was asked for, else bash, else sh.\n"
    "\n" SOURCE_ENVIRONMENT
    "\n"
    "if [ -n \"${SINGULARITY_SHELL:-}\" ] && [ -x \"$SINGULARITY_SHELL\" ]; then\n"
    "    SHELL=\"$SINGULARITY_SHELL\"\n"
    "    export SHELL\n"
    "    exec \"$SINGULARITY_SHELL\" \"$@\"\n"
    "elif [ -x /bin/bash ]; then\n"
    "    SHELL=/bin/bash\n"
    "    PS1=\"Singularity ${SINGULARITY_NAME:-}:\\w> \"\n"
    "    export SHELL PS1\n"
    "    exec /bin/bash --norc \"$@\"\n"
    "elif [ -x /bin/sh ]; then\n"
    "    SHELL=/bin/sh\n"
    "    PS1=\"Singularity ${SINGULARITY_NAME:-}> \"\n"
    "    export SHELL PS1\n"
    "    exec /bin/sh \"$@\"\n"
    "fi\n"
    "echo \"/bin/sh doesn't exist in container\" >&2\n"
    "exit 1\n";

constexpr std::string_view action_start =
    "#!/bin/sh\n"
    "# Starts an instance. Process 1 waits for this signal.\n"
    "kill -CONT 1\n"
    "\n" SOURCE_ENVIRONMENT
    "\n"
    "if [ -n \"${SINGULARITY_APPNAME:-}\" ]; then\n"
    "    if [ -x \"/scif/apps/$SINGULARITY_APPNAME/scif/startscript\" ]; then\n"
    "        exec \"/scif/apps/$SINGULARITY_APPNAME/scif/startscript\" \"$@\"\n"
    "    fi\n"
    "    echo \"No startscript for contained app: $SINGULARITY_APPNAME\" >&2\n"
    "    exit 1\n"
    "fi\n"
    "\n"
    "if [ -x /.singularity.d/startscript ]; then\n"
    "    exec /.singularity.d/startscript \"$@\"\n"
    "fi\n";

constexpr std::string_view action_test =
    "#!/bin/sh\n"
    "# Runs the image's own test, or that of the app that was asked for.\n"
    "\n" SOURCE_ENVIRONMENT
    "\n"
    "if [ -n \"${SINGULARITY_APPNAME:-}\" ]; then\n"
    "    if [ -x \"/scif/apps/$SINGULARITY_APPNAME/scif/test\" ]; then\n"
    "        exec \"/scif/apps/$SINGULARITY_APPNAME/scif/test\" \"$@\"\n"
    "    fi\n"
    "    echo \"No tests for contained app: $SINGULARITY_APPNAME\" >&2\n"
    "    exit 1\n"
    "fi\n"
    "\n"
    "if [ -x /.singularity.d/test ]; then\n"
    "    exec /.singularity.d/test \"$@\"\n"
    "fi\n"
    "echo \"No test found in container, executing /bin/sh -c true\" >&2\n"
    "exec /bin/sh -c true\n";

#undef SOURCE_ENVIRONMENT

constexpr std::string_view env_base =
    "#!/bin/sh\n"
    "# First of the environment scripts. Settings of the image belong into 90-environment.sh.\n";

constexpr std::string_view env_custom =
    "#!/bin/sh\n"
    "# The image's own environment follows.\n";

constexpr std::string_view env_apps_base =
    "#!/bin/sh\n"
    "# Where the apps of this image are.\n";

constexpr std::string_view env_apps =
    "#!/bin/sh\n"
    "# The environment of the app that was asked for.\n"
    "\n"
    "if [ -n \"${SINGULARITY_APPNAME:-}\" ]; then\n"
    "    if [ ! -d \"/scif/apps/$SINGULARITY_APPNAME\" ]; then\n"
    "        echo \"Could not locate the container application: $SINGULARITY_APPNAME\" >&2\n"
    "        exit 1\n"
    "    fi\n"
    "    SCIF_APPS=/scif/apps\n"
    "    SCIF_APPROOT=\"/scif/apps/$SINGULARITY_APPNAME\"\n"
    "    export SCIF_APPS SCIF_APPROOT\n"
    "    PATH=\"$SCIF_APPROOT/bin:$SCIF_APPROOT:$PATH\"\n"
    "    LD_LIBRARY_PATH=\"$SCIF_APPROOT/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"\n"
    "    export PATH LD_LIBRARY_PATH\n"
    "    for script in \"$SCIF_APPROOT/scif/env/01-base.sh\" \"$SCIF_APPROOT/scif/env/90-environment.sh\"; do\n"
    "        if [ -f \"$script\" ]; then\n"
    "            . \"$script\"\n"
    "        fi\n"
    "    done\n"
    "fi\n";

constexpr std::string_view env_last =
    "#!/bin/sh\n"
    "# Libraries of the host that were bound into the container, and the prompt.\n"
    "\n"
    "LD_LIBRARY_PATH=\"${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/.singularity.d/libs\"\n"
    "PS1=\"Singularity> \"\n"
    "export LD_LIBRARY_PATH PS1\n";

constexpr std::string_view env_runtime =
    "#!/bin/sh\n"
    "# What the user says of PATH has the last word.\n"
    "\n"
    "if [ -n \"${SING_USER_DEFINED_PREPEND_PATH:-}\" ]; then\n"
    "    PATH=\"${SING_USER_DEFINED_PREPEND_PATH}:${PATH}\"\n"
    "fi\n"
    "if [ -n \"${SING_USER_DEFINED_APPEND_PATH:-}\" ]; then\n"
    "    PATH=\"${PATH}:${SING_USER_DEFINED_APPEND_PATH}\"\n"
    "fi\n"
    "if [ -n \"${SING_USER_DEFINED_PATH:-}\" ]; then\n"
    "    PATH=\"${SING_USER_DEFINED_PATH}\"\n"
    "fi\n"
    "unset SING_USER_DEFINED_PREPEND_PATH SING_USER_DEFINED_APPEND_PATH SING_USER_DEFINED_PATH\n"
    "export PATH\n";

constexpr Script scripts[] = {
    {".singularity.d/actions/exec", action_exec},          {".singularity.d/actions/run", action_run},
    {".singularity.d/actions/shell", action_shell},        {".singularity.d/actions/start", action_start},
    {".singularity.d/actions/test", action_test},          {".singularity.d/env/01-base.sh", env_base},
    {".singularity.d/env/90-environment.sh", env_custom},  {".singularity.d/env/94-appsbase.sh", env_apps_base},
    {".singularity.d/env/95-apps.sh", env_apps},           {".singularity.d/env/99-base.sh", env_last},
    {".singularity.d/env/99-runtimevars.sh", env_runtime},
};

}  // namespace

std::span<const Script> standard_scripts() { return scripts; }

const std::string_view runscript_stub =
    "#!/bin/sh\n"
    "echo \"There is no runscript defined for this container\"\n";

const std::string_view startscript_stub = "#!/bin/sh\n";

}  // namespace sg
