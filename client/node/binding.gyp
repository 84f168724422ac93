{
  "targets": [
    {
      "target_name": "shmd",
      "sources": [
        "native/addon.cpp",
        "native/channel.cpp",
        "native/descriptor.cpp",
        "native/mapping.cpp",
        "native/sleeper.cpp",
        "native/sync_area.cpp",
        "native/wait.cpp"
      ],
      "include_dirs": ["native/shared"],
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except"],
      "defines": ["NAPI_VERSION=8", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++20", "-Wall", "-Wextra", "-fvisibility=hidden"]
    }
  ]
}
