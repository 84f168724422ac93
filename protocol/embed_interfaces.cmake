# Writes a C++ file that holds the interface descriptions byte for byte. Called at build time with OUTPUT and FILES.
set(entries "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WLE)
  file(READ ${file} text)
  string(APPEND entries "        {\"${name}\", R\"varlink(${text})varlink\"},\n")
endforeach()
file(WRITE ${OUTPUT}
     "#include \"messages.hpp\"\n\nnamespace shmd {\n\nconst std::vector<InterfaceText>& interface_texts() {\n"
     "    static const std::vector<InterfaceText> texts{\n${entries}    };\n    return texts;\n}\n\n}  // namespace shmd\n")
