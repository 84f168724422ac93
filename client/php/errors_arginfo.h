/* This is a generated file, edit the .stub.php file instead.
 * Stub hash: a3feb4988d45769e0463d9157fc824a56f2d907f */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Exception_getName, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Exception_getParameters, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()


ZEND_METHOD(Shmd_Exception, getName);
ZEND_METHOD(Shmd_Exception, getParameters);


static const zend_function_entry class_Shmd_Exception_methods[] = {
	ZEND_ME(Shmd_Exception, getName, arginfo_class_Shmd_Exception_getName, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Exception, getParameters, arginfo_class_Shmd_Exception_getParameters, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_NoSuchSegment_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_SegmentExists_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_SizeMismatch_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_InvalidKey_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_InvalidParameter_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_PermissionDenied_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_QuotaExceeded_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_OutOfMemory_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_SegmentSealed_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_NotSealed_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_NotSealable_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_SegmentBusy_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_NoLease_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_CapacityExceeded_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_PlacementUnavailable_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Draining_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_ConnectionFailed_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Disconnected_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_TimedOut_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_OwnerDied_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Deadlock_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_NotWritable_methods[] = {
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Closed_methods[] = {
	ZEND_FE_END
};

static zend_class_entry *register_class_Shmd_Exception(zend_class_entry *class_entry_RuntimeException)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Exception", class_Shmd_Exception_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_RuntimeException);
	class_entry->ce_flags |= ZEND_ACC_NO_DYNAMIC_PROPERTIES;

	zval property_name_default_value;
	ZVAL_EMPTY_STRING(&property_name_default_value);
	zend_string *property_name_name = zend_string_init("name", sizeof("name") - 1, 1);
	zend_declare_typed_property(class_entry, property_name_name, &property_name_default_value, ZEND_ACC_PROTECTED, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING));
	zend_string_release(property_name_name);

	zval property_parameters_default_value;
	ZVAL_EMPTY_ARRAY(&property_parameters_default_value);
	zend_string *property_parameters_name = zend_string_init("parameters", sizeof("parameters") - 1, 1);
	zend_declare_typed_property(class_entry, property_parameters_name, &property_parameters_default_value, ZEND_ACC_PROTECTED, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_ARRAY));
	zend_string_release(property_parameters_name);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_NoSuchSegment(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "NoSuchSegment", class_Shmd_NoSuchSegment_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_SegmentExists(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "SegmentExists", class_Shmd_SegmentExists_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_SizeMismatch(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "SizeMismatch", class_Shmd_SizeMismatch_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_InvalidKey(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "InvalidKey", class_Shmd_InvalidKey_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_InvalidParameter(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "InvalidParameter", class_Shmd_InvalidParameter_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_PermissionDenied(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "PermissionDenied", class_Shmd_PermissionDenied_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_QuotaExceeded(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "QuotaExceeded", class_Shmd_QuotaExceeded_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_OutOfMemory(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "OutOfMemory", class_Shmd_OutOfMemory_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_SegmentSealed(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "SegmentSealed", class_Shmd_SegmentSealed_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_NotSealed(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "NotSealed", class_Shmd_NotSealed_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_NotSealable(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "NotSealable", class_Shmd_NotSealable_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_SegmentBusy(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "SegmentBusy", class_Shmd_SegmentBusy_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_NoLease(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "NoLease", class_Shmd_NoLease_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_CapacityExceeded(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "CapacityExceeded", class_Shmd_CapacityExceeded_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_PlacementUnavailable(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "PlacementUnavailable", class_Shmd_PlacementUnavailable_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Draining(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Draining", class_Shmd_Draining_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_ConnectionFailed(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "ConnectionFailed", class_Shmd_ConnectionFailed_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Disconnected(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Disconnected", class_Shmd_Disconnected_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_TimedOut(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "TimedOut", class_Shmd_TimedOut_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_OwnerDied(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "OwnerDied", class_Shmd_OwnerDied_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Deadlock(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Deadlock", class_Shmd_Deadlock_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_NotWritable(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "NotWritable", class_Shmd_NotWritable_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Closed(zend_class_entry *class_entry_Shmd_Exception)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Closed", class_Shmd_Closed_methods);
	class_entry = zend_register_internal_class_ex(&ce, class_entry_Shmd_Exception);
	class_entry->ce_flags |= ZEND_ACC_FINAL;

	return class_entry;
}
