# The vectors of protocol/vectors against the real daemon and against the codecs.
find_package(nlohmann_json 3.11 REQUIRED)
shmd_test(vectors LIBRARIES shmd_test_support nlohmann_json::nlohmann_json)
target_compile_definitions(vectors_test PRIVATE SHMD_VECTORS_DIR="${PROJECT_SOURCE_DIR}/protocol/vectors")
