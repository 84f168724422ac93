/* This is a generated file, edit the .stub.php file instead.
 * Stub hash: 5be9fbcb842c9fd1098edb0e61e0d531517c7e1d */




static const zend_function_entry class_Shmd_Access_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_CreateMode_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Reserve_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Lifetime_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_HugePages_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_State_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_EventKind_methods[] = {
	ZEND_FE_END
};

static zend_class_entry *register_class_Shmd_Access(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\Access", IS_STRING, class_Shmd_Access_methods);

	zval enum_case_Read_value;
	zend_string *enum_case_Read_value_str = zend_string_init("read", strlen("read"), 1);
	ZVAL_STR(&enum_case_Read_value, enum_case_Read_value_str);
	zend_enum_add_case_cstr(class_entry, "Read", &enum_case_Read_value);

	zval enum_case_Write_value;
	zend_string *enum_case_Write_value_str = zend_string_init("write", strlen("write"), 1);
	ZVAL_STR(&enum_case_Write_value, enum_case_Write_value_str);
	zend_enum_add_case_cstr(class_entry, "Write", &enum_case_Write_value);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_CreateMode(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\CreateMode", IS_STRING, class_Shmd_CreateMode_methods);

	zval enum_case_New_value;
	zend_string *enum_case_New_value_str = zend_string_init("new", strlen("new"), 1);
	ZVAL_STR(&enum_case_New_value, enum_case_New_value_str);
	zend_enum_add_case_cstr(class_entry, "New", &enum_case_New_value);

	zval enum_case_Any_value;
	zend_string *enum_case_Any_value_str = zend_string_init("any", strlen("any"), 1);
	ZVAL_STR(&enum_case_Any_value, enum_case_Any_value_str);
	zend_enum_add_case_cstr(class_entry, "Any", &enum_case_Any_value);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Reserve(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\Reserve", IS_STRING, class_Shmd_Reserve_methods);

	zval enum_case_Allocate_value;
	zend_string *enum_case_Allocate_value_str = zend_string_init("allocate", strlen("allocate"), 1);
	ZVAL_STR(&enum_case_Allocate_value, enum_case_Allocate_value_str);
	zend_enum_add_case_cstr(class_entry, "Allocate", &enum_case_Allocate_value);

	zval enum_case_Populate_value;
	zend_string *enum_case_Populate_value_str = zend_string_init("populate", strlen("populate"), 1);
	ZVAL_STR(&enum_case_Populate_value, enum_case_Populate_value_str);
	zend_enum_add_case_cstr(class_entry, "Populate", &enum_case_Populate_value);

	zval enum_case_Lazy_value;
	zend_string *enum_case_Lazy_value_str = zend_string_init("lazy", strlen("lazy"), 1);
	ZVAL_STR(&enum_case_Lazy_value, enum_case_Lazy_value_str);
	zend_enum_add_case_cstr(class_entry, "Lazy", &enum_case_Lazy_value);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Lifetime(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\Lifetime", IS_STRING, class_Shmd_Lifetime_methods);

	zval enum_case_Persistent_value;
	zend_string *enum_case_Persistent_value_str = zend_string_init("persistent", strlen("persistent"), 1);
	ZVAL_STR(&enum_case_Persistent_value, enum_case_Persistent_value_str);
	zend_enum_add_case_cstr(class_entry, "Persistent", &enum_case_Persistent_value);

	zval enum_case_Attached_value;
	zend_string *enum_case_Attached_value_str = zend_string_init("attached", strlen("attached"), 1);
	ZVAL_STR(&enum_case_Attached_value, enum_case_Attached_value_str);
	zend_enum_add_case_cstr(class_entry, "Attached", &enum_case_Attached_value);

	zval enum_case_Creator_value;
	zend_string *enum_case_Creator_value_str = zend_string_init("creator", strlen("creator"), 1);
	ZVAL_STR(&enum_case_Creator_value, enum_case_Creator_value_str);
	zend_enum_add_case_cstr(class_entry, "Creator", &enum_case_Creator_value);

	zval enum_case_Lease_value;
	zend_string *enum_case_Lease_value_str = zend_string_init("lease", strlen("lease"), 1);
	ZVAL_STR(&enum_case_Lease_value, enum_case_Lease_value_str);
	zend_enum_add_case_cstr(class_entry, "Lease", &enum_case_Lease_value);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_HugePages(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\HugePages", IS_STRING, class_Shmd_HugePages_methods);

	zval enum_case_None_value;
	zend_string *enum_case_None_value_str = zend_string_init("none", strlen("none"), 1);
	ZVAL_STR(&enum_case_None_value, enum_case_None_value_str);
	zend_enum_add_case_cstr(class_entry, "None", &enum_case_None_value);

	zval enum_case_Transparent_value;
	zend_string *enum_case_Transparent_value_str = zend_string_init("transparent", strlen("transparent"), 1);
	ZVAL_STR(&enum_case_Transparent_value, enum_case_Transparent_value_str);
	zend_enum_add_case_cstr(class_entry, "Transparent", &enum_case_Transparent_value);

	zval enum_case_Huge2M_value;
	zend_string *enum_case_Huge2M_value_str = zend_string_init("huge2M", strlen("huge2M"), 1);
	ZVAL_STR(&enum_case_Huge2M_value, enum_case_Huge2M_value_str);
	zend_enum_add_case_cstr(class_entry, "Huge2M", &enum_case_Huge2M_value);

	zval enum_case_Huge1G_value;
	zend_string *enum_case_Huge1G_value_str = zend_string_init("huge1G", strlen("huge1G"), 1);
	ZVAL_STR(&enum_case_Huge1G_value, enum_case_Huge1G_value_str);
	zend_enum_add_case_cstr(class_entry, "Huge1G", &enum_case_Huge1G_value);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_State(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\State", IS_STRING, class_Shmd_State_methods);

	zval enum_case_Staged_value;
	zend_string *enum_case_Staged_value_str = zend_string_init("staged", strlen("staged"), 1);
	ZVAL_STR(&enum_case_Staged_value, enum_case_Staged_value_str);
	zend_enum_add_case_cstr(class_entry, "Staged", &enum_case_Staged_value);

	zval enum_case_Live_value;
	zend_string *enum_case_Live_value_str = zend_string_init("live", strlen("live"), 1);
	ZVAL_STR(&enum_case_Live_value, enum_case_Live_value_str);
	zend_enum_add_case_cstr(class_entry, "Live", &enum_case_Live_value);

	zval enum_case_Deleted_value;
	zend_string *enum_case_Deleted_value_str = zend_string_init("deleted", strlen("deleted"), 1);
	ZVAL_STR(&enum_case_Deleted_value, enum_case_Deleted_value_str);
	zend_enum_add_case_cstr(class_entry, "Deleted", &enum_case_Deleted_value);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_EventKind(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Shmd\\EventKind", IS_STRING, class_Shmd_EventKind_methods);

	zval enum_case_Present_value;
	zend_string *enum_case_Present_value_str = zend_string_init("present", strlen("present"), 1);
	ZVAL_STR(&enum_case_Present_value, enum_case_Present_value_str);
	zend_enum_add_case_cstr(class_entry, "Present", &enum_case_Present_value);

	zval enum_case_Ready_value;
	zend_string *enum_case_Ready_value_str = zend_string_init("ready", strlen("ready"), 1);
	ZVAL_STR(&enum_case_Ready_value, enum_case_Ready_value_str);
	zend_enum_add_case_cstr(class_entry, "Ready", &enum_case_Ready_value);

	zval enum_case_Created_value;
	zend_string *enum_case_Created_value_str = zend_string_init("created", strlen("created"), 1);
	ZVAL_STR(&enum_case_Created_value, enum_case_Created_value_str);
	zend_enum_add_case_cstr(class_entry, "Created", &enum_case_Created_value);

	zval enum_case_Published_value;
	zend_string *enum_case_Published_value_str = zend_string_init("published", strlen("published"), 1);
	ZVAL_STR(&enum_case_Published_value, enum_case_Published_value_str);
	zend_enum_add_case_cstr(class_entry, "Published", &enum_case_Published_value);

	zval enum_case_Replaced_value;
	zend_string *enum_case_Replaced_value_str = zend_string_init("replaced", strlen("replaced"), 1);
	ZVAL_STR(&enum_case_Replaced_value, enum_case_Replaced_value_str);
	zend_enum_add_case_cstr(class_entry, "Replaced", &enum_case_Replaced_value);

	zval enum_case_Sealed_value;
	zend_string *enum_case_Sealed_value_str = zend_string_init("sealed", strlen("sealed"), 1);
	ZVAL_STR(&enum_case_Sealed_value, enum_case_Sealed_value_str);
	zend_enum_add_case_cstr(class_entry, "Sealed", &enum_case_Sealed_value);

	zval enum_case_Resized_value;
	zend_string *enum_case_Resized_value_str = zend_string_init("resized", strlen("resized"), 1);
	ZVAL_STR(&enum_case_Resized_value, enum_case_Resized_value_str);
	zend_enum_add_case_cstr(class_entry, "Resized", &enum_case_Resized_value);

	zval enum_case_Changed_value;
	zend_string *enum_case_Changed_value_str = zend_string_init("changed", strlen("changed"), 1);
	ZVAL_STR(&enum_case_Changed_value, enum_case_Changed_value_str);
	zend_enum_add_case_cstr(class_entry, "Changed", &enum_case_Changed_value);

	zval enum_case_Attached_value;
	zend_string *enum_case_Attached_value_str = zend_string_init("attached", strlen("attached"), 1);
	ZVAL_STR(&enum_case_Attached_value, enum_case_Attached_value_str);
	zend_enum_add_case_cstr(class_entry, "Attached", &enum_case_Attached_value);

	zval enum_case_Detached_value;
	zend_string *enum_case_Detached_value_str = zend_string_init("detached", strlen("detached"), 1);
	ZVAL_STR(&enum_case_Detached_value, enum_case_Detached_value_str);
	zend_enum_add_case_cstr(class_entry, "Detached", &enum_case_Detached_value);

	zval enum_case_Deleted_value;
	zend_string *enum_case_Deleted_value_str = zend_string_init("deleted", strlen("deleted"), 1);
	ZVAL_STR(&enum_case_Deleted_value, enum_case_Deleted_value_str);
	zend_enum_add_case_cstr(class_entry, "Deleted", &enum_case_Deleted_value);

	zval enum_case_Expired_value;
	zend_string *enum_case_Expired_value_str = zend_string_init("expired", strlen("expired"), 1);
	ZVAL_STR(&enum_case_Expired_value, enum_case_Expired_value_str);
	zend_enum_add_case_cstr(class_entry, "Expired", &enum_case_Expired_value);

	zval enum_case_Evicted_value;
	zend_string *enum_case_Evicted_value_str = zend_string_init("evicted", strlen("evicted"), 1);
	ZVAL_STR(&enum_case_Evicted_value, enum_case_Evicted_value_str);
	zend_enum_add_case_cstr(class_entry, "Evicted", &enum_case_Evicted_value);

	zval enum_case_Lost_value;
	zend_string *enum_case_Lost_value_str = zend_string_init("lost", strlen("lost"), 1);
	ZVAL_STR(&enum_case_Lost_value, enum_case_Lost_value_str);
	zend_enum_add_case_cstr(class_entry, "Lost", &enum_case_Lost_value);

	return class_entry;
}
