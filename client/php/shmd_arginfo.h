/* This is a generated file, edit the .stub.php file instead.
 * Stub hash: be29401fdd6a50bfe8798b854409143bb5b59bf6 */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_Shmd_version, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_Shmd_sysv_key, 0, 1, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO(0, key, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(arginfo_class_Shmd_AclEntry___construct, 0, 0, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_AclEntry_user, 0, 2, Shmd\\AclEntry, 0)
	ZEND_ARG_TYPE_INFO(0, uid, IS_LONG, 0)
	ZEND_ARG_OBJ_INFO(0, access, Shmd\\Access, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_AclEntry_group, 0, 2, Shmd\\AclEntry, 0)
	ZEND_ARG_TYPE_INFO(0, gid, IS_LONG, 0)
	ZEND_ARG_OBJ_INFO(0, access, Shmd\\Access, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_AclEntry_jsonSerialize, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_SegmentInfo___construct arginfo_class_Shmd_AclEntry___construct

#define arginfo_class_Shmd_SegmentInfo_jsonSerialize arginfo_class_Shmd_AclEntry_jsonSerialize

ZEND_BEGIN_ARG_INFO_EX(arginfo_class_Shmd_NewSegment___construct, 0, 0, 2)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, NULL)
	ZEND_ARG_TYPE_INFO(0, sizeBytes, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, mode, IS_LONG, 0, "0600")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, createMode, Shmd\\CreateMode, 0, "Shmd\\CreateMode::New")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, access, Shmd\\Access, 0, "Shmd\\Access::Write")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, reserve, Shmd\\Reserve, 0, "Shmd\\Reserve::Allocate")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, lifetime, Shmd\\Lifetime, 0, "Shmd\\Lifetime::Persistent")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, staged, _IS_BOOL, 0, "false")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labels, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, leaseUsec, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, evictable, _IS_BOOL, 0, "false")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, sealable, _IS_BOOL, 0, "true")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, acl, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, capacityBytes, IS_LONG, 0, "0")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, hugePages, Shmd\\HugePages, 0, "Shmd\\HugePages::None")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, numaNodes, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, placementFallback, _IS_BOOL, 0, "false")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(arginfo_class_Shmd_Client___construct, 0, 0, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, socket, IS_STRING, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_control, 0, 0, Shmd\\Client, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, socket, IS_STRING, 1, "null")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Client_getSocketPath arginfo_Shmd_version

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_create, 0, 2, Shmd\\Segment, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, NULL)
	ZEND_ARG_TYPE_INFO(0, sizeBytes, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, mode, IS_LONG, 0, "0600")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, createMode, Shmd\\CreateMode, 0, "Shmd\\CreateMode::New")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, access, Shmd\\Access, 0, "Shmd\\Access::Write")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, reserve, Shmd\\Reserve, 0, "Shmd\\Reserve::Allocate")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, lifetime, Shmd\\Lifetime, 0, "Shmd\\Lifetime::Persistent")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, staged, _IS_BOOL, 0, "false")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labels, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, leaseUsec, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, evictable, _IS_BOOL, 0, "false")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, sealable, _IS_BOOL, 0, "true")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, acl, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, capacityBytes, IS_LONG, 0, "0")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, hugePages, Shmd\\HugePages, 0, "Shmd\\HugePages::None")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, numaNodes, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, placementFallback, _IS_BOOL, 0, "false")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Client_createMany, 0, 1, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO(0, segments, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_open, 0, 0, Shmd\\Segment, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, "null")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, access, Shmd\\Access, 0, "Shmd\\Access::Read")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, waitUsec, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, sealed, _IS_BOOL, 0, "false")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, id, IS_LONG, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Client_openMany, 0, 1, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO(0, keys, IS_ARRAY, 0)
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, access, Shmd\\Access, 0, "Shmd\\Access::Read")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Client_closeMany, 0, 1, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO(0, segments, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_describe, 0, 0, Shmd\\SegmentInfo, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, id, IS_LONG, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Client_list, 0, 0, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, prefix, IS_STRING, 0, "\"\"")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Client_delete, 0, 0, IS_VOID, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, id, IS_LONG, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_setAttributes, 0, 0, Shmd\\SegmentInfo, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, id, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, mode, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, ownerUid, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, ownerGid, IS_LONG, 1, "null")
	ZEND_ARG_OBJ_INFO_WITH_DEFAULT_VALUE(0, lifetime, Shmd\\Lifetime, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, leaseUsec, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, evictable, _IS_BOOL, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labels, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, removeLabels, IS_ARRAY, 0, "[]")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, acl, IS_ARRAY, 1, "null")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Client_renew arginfo_class_Shmd_Client_describe

#define arginfo_class_Shmd_Client_seal arginfo_class_Shmd_Client_describe

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_resize, 0, 2, Shmd\\SegmentInfo, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, NULL)
	ZEND_ARG_TYPE_INFO(0, sizeBytes, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, id, IS_LONG, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Client_watch, 0, 0, Shmd\\Watch, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, prefix, IS_STRING, 0, "\"\"")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Client_call, 0, 1, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO(0, method, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, parameters, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Client_callMany arginfo_class_Shmd_Client_call

#define arginfo_class_Shmd_Segment___construct arginfo_class_Shmd_AclEntry___construct

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_read, 0, 0, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, offset, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, length, IS_LONG, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_write, 0, 1, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO(0, data, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, offset, IS_LONG, 0, "0")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_size, 0, 0, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Segment_access, 0, 0, Shmd\\Access, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_created, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_attachment arginfo_class_Shmd_Segment_size

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Segment_info, 0, 0, Shmd\\SegmentInfo, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Segment_publish, 0, 0, Shmd\\Segment, 0)
	ZEND_ARG_TYPE_MASK(0, key, MAY_BE_STRING|MAY_BE_LONG|MAY_BE_NULL, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, replace, _IS_BOOL, 0, "false")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Segment_seal, 0, 0, Shmd\\Segment, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Segment_resize, 0, 1, Shmd\\Segment, 0)
	ZEND_ARG_TYPE_INFO(0, sizeBytes, IS_LONG, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_remap arginfo_class_Shmd_Segment_seal

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_close, 0, 0, IS_VOID, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_isClosed arginfo_class_Shmd_Segment_created

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Segment_lock, 0, 0, Shmd\\Lock, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeoutUsec, IS_LONG, 0, "-1")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_readLock arginfo_class_Shmd_Segment_lock

#define arginfo_class_Shmd_Segment_writeLock arginfo_class_Shmd_Segment_lock

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_synchronized, 0, 1, IS_MIXED, 0)
	ZEND_ARG_TYPE_INFO(0, function, IS_CALLABLE, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeoutUsec, IS_LONG, 0, "-1")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_beginWrite arginfo_class_Shmd_Segment_lock

#define arginfo_class_Shmd_Segment_writeSection arginfo_class_Shmd_Segment_synchronized

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_snapshot, 0, 0, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, offset, IS_LONG, 0, "0")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, length, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeoutUsec, IS_LONG, 0, "-1")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_version arginfo_class_Shmd_Segment_size

#define arginfo_class_Shmd_Segment_notify arginfo_class_Shmd_Segment_size

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Shmd_Segment_wait, 0, 0, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, after, IS_LONG, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeoutUsec, IS_LONG, 0, "-1")
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Segment_getNotificationStream arginfo_class_Shmd_AclEntry___construct

#define arginfo_class_Shmd_Lock___construct arginfo_class_Shmd_AclEntry___construct

#define arginfo_class_Shmd_Lock_makeConsistent arginfo_class_Shmd_Segment_close

#define arginfo_class_Shmd_Lock_unlock arginfo_class_Shmd_Segment_close

#define arginfo_class_Shmd_Event___construct arginfo_class_Shmd_AclEntry___construct

#define arginfo_class_Shmd_Watch___construct arginfo_class_Shmd_AclEntry___construct

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Watch_nextEvent, 0, 0, Shmd\\Event, 1)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeoutUsec, IS_LONG, 0, "-1")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Shmd_Watch_getIterator, 0, 0, Iterator, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Shmd_Watch_getStream arginfo_class_Shmd_AclEntry___construct

#define arginfo_class_Shmd_Watch_close arginfo_class_Shmd_Segment_close


ZEND_FUNCTION(Shmd_version);
ZEND_FUNCTION(Shmd_sysv_key);
ZEND_METHOD(Shmd_AclEntry, __construct);
ZEND_METHOD(Shmd_AclEntry, user);
ZEND_METHOD(Shmd_AclEntry, group);
ZEND_METHOD(Shmd_AclEntry, jsonSerialize);
ZEND_METHOD(Shmd_SegmentInfo, __construct);
ZEND_METHOD(Shmd_SegmentInfo, jsonSerialize);
ZEND_METHOD(Shmd_NewSegment, __construct);
ZEND_METHOD(Shmd_Client, __construct);
ZEND_METHOD(Shmd_Client, control);
ZEND_METHOD(Shmd_Client, getSocketPath);
ZEND_METHOD(Shmd_Client, create);
ZEND_METHOD(Shmd_Client, createMany);
ZEND_METHOD(Shmd_Client, open);
ZEND_METHOD(Shmd_Client, openMany);
ZEND_METHOD(Shmd_Client, closeMany);
ZEND_METHOD(Shmd_Client, describe);
ZEND_METHOD(Shmd_Client, list);
ZEND_METHOD(Shmd_Client, delete);
ZEND_METHOD(Shmd_Client, setAttributes);
ZEND_METHOD(Shmd_Client, renew);
ZEND_METHOD(Shmd_Client, seal);
ZEND_METHOD(Shmd_Client, resize);
ZEND_METHOD(Shmd_Client, watch);
ZEND_METHOD(Shmd_Client, call);
ZEND_METHOD(Shmd_Client, callMany);
ZEND_METHOD(Shmd_Segment, __construct);
ZEND_METHOD(Shmd_Segment, read);
ZEND_METHOD(Shmd_Segment, write);
ZEND_METHOD(Shmd_Segment, size);
ZEND_METHOD(Shmd_Segment, access);
ZEND_METHOD(Shmd_Segment, created);
ZEND_METHOD(Shmd_Segment, attachment);
ZEND_METHOD(Shmd_Segment, info);
ZEND_METHOD(Shmd_Segment, publish);
ZEND_METHOD(Shmd_Segment, seal);
ZEND_METHOD(Shmd_Segment, resize);
ZEND_METHOD(Shmd_Segment, remap);
ZEND_METHOD(Shmd_Segment, close);
ZEND_METHOD(Shmd_Segment, isClosed);
ZEND_METHOD(Shmd_Segment, lock);
ZEND_METHOD(Shmd_Segment, readLock);
ZEND_METHOD(Shmd_Segment, writeLock);
ZEND_METHOD(Shmd_Segment, synchronized);
ZEND_METHOD(Shmd_Segment, beginWrite);
ZEND_METHOD(Shmd_Segment, writeSection);
ZEND_METHOD(Shmd_Segment, snapshot);
ZEND_METHOD(Shmd_Segment, version);
ZEND_METHOD(Shmd_Segment, notify);
ZEND_METHOD(Shmd_Segment, wait);
ZEND_METHOD(Shmd_Segment, getNotificationStream);
ZEND_METHOD(Shmd_Lock, __construct);
ZEND_METHOD(Shmd_Lock, makeConsistent);
ZEND_METHOD(Shmd_Lock, unlock);
ZEND_METHOD(Shmd_Event, __construct);
ZEND_METHOD(Shmd_Watch, __construct);
ZEND_METHOD(Shmd_Watch, nextEvent);
ZEND_METHOD(Shmd_Watch, getIterator);
ZEND_METHOD(Shmd_Watch, getStream);
ZEND_METHOD(Shmd_Watch, close);


static const zend_function_entry ext_functions[] = {
	ZEND_NS_FALIAS("Shmd", version, Shmd_version, arginfo_Shmd_version)
	ZEND_NS_FALIAS("Shmd", sysv_key, Shmd_sysv_key, arginfo_Shmd_sysv_key)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_AclEntry_methods[] = {
	ZEND_ME(Shmd_AclEntry, __construct, arginfo_class_Shmd_AclEntry___construct, ZEND_ACC_PRIVATE)
	ZEND_ME(Shmd_AclEntry, user, arginfo_class_Shmd_AclEntry_user, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Shmd_AclEntry, group, arginfo_class_Shmd_AclEntry_group, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Shmd_AclEntry, jsonSerialize, arginfo_class_Shmd_AclEntry_jsonSerialize, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_SegmentInfo_methods[] = {
	ZEND_ME(Shmd_SegmentInfo, __construct, arginfo_class_Shmd_SegmentInfo___construct, ZEND_ACC_PRIVATE)
	ZEND_ME(Shmd_SegmentInfo, jsonSerialize, arginfo_class_Shmd_SegmentInfo_jsonSerialize, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_NewSegment_methods[] = {
	ZEND_ME(Shmd_NewSegment, __construct, arginfo_class_Shmd_NewSegment___construct, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Client_methods[] = {
	ZEND_ME(Shmd_Client, __construct, arginfo_class_Shmd_Client___construct, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, control, arginfo_class_Shmd_Client_control, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Shmd_Client, getSocketPath, arginfo_class_Shmd_Client_getSocketPath, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, create, arginfo_class_Shmd_Client_create, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, createMany, arginfo_class_Shmd_Client_createMany, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, open, arginfo_class_Shmd_Client_open, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, openMany, arginfo_class_Shmd_Client_openMany, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, closeMany, arginfo_class_Shmd_Client_closeMany, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Shmd_Client, describe, arginfo_class_Shmd_Client_describe, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, list, arginfo_class_Shmd_Client_list, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, delete, arginfo_class_Shmd_Client_delete, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, setAttributes, arginfo_class_Shmd_Client_setAttributes, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, renew, arginfo_class_Shmd_Client_renew, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, seal, arginfo_class_Shmd_Client_seal, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, resize, arginfo_class_Shmd_Client_resize, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, watch, arginfo_class_Shmd_Client_watch, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, call, arginfo_class_Shmd_Client_call, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Client, callMany, arginfo_class_Shmd_Client_callMany, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Segment_methods[] = {
	ZEND_ME(Shmd_Segment, __construct, arginfo_class_Shmd_Segment___construct, ZEND_ACC_PRIVATE)
	ZEND_ME(Shmd_Segment, read, arginfo_class_Shmd_Segment_read, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, write, arginfo_class_Shmd_Segment_write, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, size, arginfo_class_Shmd_Segment_size, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, access, arginfo_class_Shmd_Segment_access, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, created, arginfo_class_Shmd_Segment_created, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, attachment, arginfo_class_Shmd_Segment_attachment, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, info, arginfo_class_Shmd_Segment_info, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, publish, arginfo_class_Shmd_Segment_publish, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, seal, arginfo_class_Shmd_Segment_seal, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, resize, arginfo_class_Shmd_Segment_resize, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, remap, arginfo_class_Shmd_Segment_remap, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, close, arginfo_class_Shmd_Segment_close, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, isClosed, arginfo_class_Shmd_Segment_isClosed, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, lock, arginfo_class_Shmd_Segment_lock, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, readLock, arginfo_class_Shmd_Segment_readLock, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, writeLock, arginfo_class_Shmd_Segment_writeLock, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, synchronized, arginfo_class_Shmd_Segment_synchronized, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, beginWrite, arginfo_class_Shmd_Segment_beginWrite, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, writeSection, arginfo_class_Shmd_Segment_writeSection, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, snapshot, arginfo_class_Shmd_Segment_snapshot, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, version, arginfo_class_Shmd_Segment_version, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, notify, arginfo_class_Shmd_Segment_notify, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, wait, arginfo_class_Shmd_Segment_wait, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Segment, getNotificationStream, arginfo_class_Shmd_Segment_getNotificationStream, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Lock_methods[] = {
	ZEND_ME(Shmd_Lock, __construct, arginfo_class_Shmd_Lock___construct, ZEND_ACC_PRIVATE)
	ZEND_ME(Shmd_Lock, makeConsistent, arginfo_class_Shmd_Lock_makeConsistent, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Lock, unlock, arginfo_class_Shmd_Lock_unlock, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Event_methods[] = {
	ZEND_ME(Shmd_Event, __construct, arginfo_class_Shmd_Event___construct, ZEND_ACC_PRIVATE)
	ZEND_FE_END
};


static const zend_function_entry class_Shmd_Watch_methods[] = {
	ZEND_ME(Shmd_Watch, __construct, arginfo_class_Shmd_Watch___construct, ZEND_ACC_PRIVATE)
	ZEND_ME(Shmd_Watch, nextEvent, arginfo_class_Shmd_Watch_nextEvent, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Watch, getIterator, arginfo_class_Shmd_Watch_getIterator, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Watch, getStream, arginfo_class_Shmd_Watch_getStream, ZEND_ACC_PUBLIC)
	ZEND_ME(Shmd_Watch, close, arginfo_class_Shmd_Watch_close, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};

static zend_class_entry *register_class_Shmd_AclEntry(zend_class_entry *class_entry_JsonSerializable)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "AclEntry", class_Shmd_AclEntry_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;
	zend_class_implements(class_entry, 1, class_entry_JsonSerializable);

	zval property_uid_default_value;
	ZVAL_UNDEF(&property_uid_default_value);
	zend_string *property_uid_name = zend_string_init("uid", sizeof("uid") - 1, 1);
	zend_declare_typed_property(class_entry, property_uid_name, &property_uid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_uid_name);

	zval property_gid_default_value;
	ZVAL_UNDEF(&property_gid_default_value);
	zend_string *property_gid_name = zend_string_init("gid", sizeof("gid") - 1, 1);
	zend_declare_typed_property(class_entry, property_gid_name, &property_gid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_gid_name);

	zend_string *property_access_class_Shmd_Access = zend_string_init("Shmd\\Access", sizeof("Shmd\\Access")-1, 1);
	zval property_access_default_value;
	ZVAL_UNDEF(&property_access_default_value);
	zend_string *property_access_name = zend_string_init("access", sizeof("access") - 1, 1);
	zend_declare_typed_property(class_entry, property_access_name, &property_access_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_access_class_Shmd_Access, 0, 0));
	zend_string_release(property_access_name);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_SegmentInfo(zend_class_entry *class_entry_JsonSerializable)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "SegmentInfo", class_Shmd_SegmentInfo_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;
	zend_class_implements(class_entry, 1, class_entry_JsonSerializable);

	zval property_id_default_value;
	ZVAL_UNDEF(&property_id_default_value);
	zend_string *property_id_name = zend_string_init("id", sizeof("id") - 1, 1);
	zend_declare_typed_property(class_entry, property_id_name, &property_id_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_id_name);

	zval property_key_default_value;
	ZVAL_UNDEF(&property_key_default_value);
	zend_string *property_key_name = zend_string_init("key", sizeof("key") - 1, 1);
	zend_declare_typed_property(class_entry, property_key_name, &property_key_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_key_name);

	zval property_sizeBytes_default_value;
	ZVAL_UNDEF(&property_sizeBytes_default_value);
	zend_string *property_sizeBytes_name = zend_string_init("sizeBytes", sizeof("sizeBytes") - 1, 1);
	zend_declare_typed_property(class_entry, property_sizeBytes_name, &property_sizeBytes_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_sizeBytes_name);

	zval property_mode_default_value;
	ZVAL_UNDEF(&property_mode_default_value);
	zend_string *property_mode_name = zend_string_init("mode", sizeof("mode") - 1, 1);
	zend_declare_typed_property(class_entry, property_mode_name, &property_mode_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_mode_name);

	zval property_ownerUid_default_value;
	ZVAL_UNDEF(&property_ownerUid_default_value);
	zend_string *property_ownerUid_name = zend_string_init("ownerUid", sizeof("ownerUid") - 1, 1);
	zend_declare_typed_property(class_entry, property_ownerUid_name, &property_ownerUid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_ownerUid_name);

	zval property_ownerGid_default_value;
	ZVAL_UNDEF(&property_ownerGid_default_value);
	zend_string *property_ownerGid_name = zend_string_init("ownerGid", sizeof("ownerGid") - 1, 1);
	zend_declare_typed_property(class_entry, property_ownerGid_name, &property_ownerGid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_ownerGid_name);

	zval property_creatorUid_default_value;
	ZVAL_UNDEF(&property_creatorUid_default_value);
	zend_string *property_creatorUid_name = zend_string_init("creatorUid", sizeof("creatorUid") - 1, 1);
	zend_declare_typed_property(class_entry, property_creatorUid_name, &property_creatorUid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_creatorUid_name);

	zval property_creatorGid_default_value;
	ZVAL_UNDEF(&property_creatorGid_default_value);
	zend_string *property_creatorGid_name = zend_string_init("creatorGid", sizeof("creatorGid") - 1, 1);
	zend_declare_typed_property(class_entry, property_creatorGid_name, &property_creatorGid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_creatorGid_name);

	zval property_creatorPid_default_value;
	ZVAL_UNDEF(&property_creatorPid_default_value);
	zend_string *property_creatorPid_name = zend_string_init("creatorPid", sizeof("creatorPid") - 1, 1);
	zend_declare_typed_property(class_entry, property_creatorPid_name, &property_creatorPid_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_creatorPid_name);

	zend_string *property_state_class_Shmd_State = zend_string_init("Shmd\\State", sizeof("Shmd\\State")-1, 1);
	zval property_state_default_value;
	ZVAL_UNDEF(&property_state_default_value);
	zend_string *property_state_name = zend_string_init("state", sizeof("state") - 1, 1);
	zend_declare_typed_property(class_entry, property_state_name, &property_state_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_state_class_Shmd_State, 0, 0));
	zend_string_release(property_state_name);

	zval property_sealed_default_value;
	ZVAL_UNDEF(&property_sealed_default_value);
	zend_string *property_sealed_name = zend_string_init("sealed", sizeof("sealed") - 1, 1);
	zend_declare_typed_property(class_entry, property_sealed_name, &property_sealed_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_BOOL));
	zend_string_release(property_sealed_name);

	zval property_attachments_default_value;
	ZVAL_UNDEF(&property_attachments_default_value);
	zend_string *property_attachments_name = zend_string_init("attachments", sizeof("attachments") - 1, 1);
	zend_declare_typed_property(class_entry, property_attachments_name, &property_attachments_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_attachments_name);

	zval property_createdUsec_default_value;
	ZVAL_UNDEF(&property_createdUsec_default_value);
	zend_string *property_createdUsec_name = zend_string_init("createdUsec", sizeof("createdUsec") - 1, 1);
	zend_declare_typed_property(class_entry, property_createdUsec_name, &property_createdUsec_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_createdUsec_name);

	zval property_attachedUsec_default_value;
	ZVAL_UNDEF(&property_attachedUsec_default_value);
	zend_string *property_attachedUsec_name = zend_string_init("attachedUsec", sizeof("attachedUsec") - 1, 1);
	zend_declare_typed_property(class_entry, property_attachedUsec_name, &property_attachedUsec_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_attachedUsec_name);

	zval property_detachedUsec_default_value;
	ZVAL_UNDEF(&property_detachedUsec_default_value);
	zend_string *property_detachedUsec_name = zend_string_init("detachedUsec", sizeof("detachedUsec") - 1, 1);
	zend_declare_typed_property(class_entry, property_detachedUsec_name, &property_detachedUsec_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_detachedUsec_name);

	zval property_changedUsec_default_value;
	ZVAL_UNDEF(&property_changedUsec_default_value);
	zend_string *property_changedUsec_name = zend_string_init("changedUsec", sizeof("changedUsec") - 1, 1);
	zend_declare_typed_property(class_entry, property_changedUsec_name, &property_changedUsec_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_changedUsec_name);

	zval property_expiresUsec_default_value;
	ZVAL_UNDEF(&property_expiresUsec_default_value);
	zend_string *property_expiresUsec_name = zend_string_init("expiresUsec", sizeof("expiresUsec") - 1, 1);
	zend_declare_typed_property(class_entry, property_expiresUsec_name, &property_expiresUsec_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_expiresUsec_name);

	zval property_evictable_default_value;
	ZVAL_UNDEF(&property_evictable_default_value);
	zend_string *property_evictable_name = zend_string_init("evictable", sizeof("evictable") - 1, 1);
	zend_declare_typed_property(class_entry, property_evictable_name, &property_evictable_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_BOOL));
	zend_string_release(property_evictable_name);

	zval property_labels_default_value;
	ZVAL_UNDEF(&property_labels_default_value);
	zend_string *property_labels_name = zend_string_init("labels", sizeof("labels") - 1, 1);
	zend_declare_typed_property(class_entry, property_labels_name, &property_labels_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_ARRAY));
	zend_string_release(property_labels_name);

	zend_string *property_lifetime_class_Shmd_Lifetime = zend_string_init("Shmd\\Lifetime", sizeof("Shmd\\Lifetime")-1, 1);
	zval property_lifetime_default_value;
	ZVAL_UNDEF(&property_lifetime_default_value);
	zend_string *property_lifetime_name = zend_string_init("lifetime", sizeof("lifetime") - 1, 1);
	zend_declare_typed_property(class_entry, property_lifetime_name, &property_lifetime_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_lifetime_class_Shmd_Lifetime, 0, 0));
	zend_string_release(property_lifetime_name);

	zval property_leaseUsec_default_value;
	ZVAL_UNDEF(&property_leaseUsec_default_value);
	zend_string *property_leaseUsec_name = zend_string_init("leaseUsec", sizeof("leaseUsec") - 1, 1);
	zend_declare_typed_property(class_entry, property_leaseUsec_name, &property_leaseUsec_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_leaseUsec_name);

	zval property_acl_default_value;
	ZVAL_UNDEF(&property_acl_default_value);
	zend_string *property_acl_name = zend_string_init("acl", sizeof("acl") - 1, 1);
	zend_declare_typed_property(class_entry, property_acl_name, &property_acl_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_ARRAY));
	zend_string_release(property_acl_name);

	zval property_capacityBytes_default_value;
	ZVAL_UNDEF(&property_capacityBytes_default_value);
	zend_string *property_capacityBytes_name = zend_string_init("capacityBytes", sizeof("capacityBytes") - 1, 1);
	zend_declare_typed_property(class_entry, property_capacityBytes_name, &property_capacityBytes_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_capacityBytes_name);

	zend_string *property_hugePages_class_Shmd_HugePages = zend_string_init("Shmd\\HugePages", sizeof("Shmd\\HugePages")-1, 1);
	zval property_hugePages_default_value;
	ZVAL_UNDEF(&property_hugePages_default_value);
	zend_string *property_hugePages_name = zend_string_init("hugePages", sizeof("hugePages") - 1, 1);
	zend_declare_typed_property(class_entry, property_hugePages_name, &property_hugePages_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_hugePages_class_Shmd_HugePages, 0, 0));
	zend_string_release(property_hugePages_name);

	zval property_numaNodes_default_value;
	ZVAL_UNDEF(&property_numaNodes_default_value);
	zend_string *property_numaNodes_name = zend_string_init("numaNodes", sizeof("numaNodes") - 1, 1);
	zend_declare_typed_property(class_entry, property_numaNodes_name, &property_numaNodes_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_ARRAY));
	zend_string_release(property_numaNodes_name);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_NewSegment(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "NewSegment", class_Shmd_NewSegment_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Client(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Client", class_Shmd_Client_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Segment(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Segment", class_Shmd_Segment_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Lock(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Lock", class_Shmd_Lock_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;

	zval property_ownerDied_default_value;
	ZVAL_UNDEF(&property_ownerDied_default_value);
	zend_string *property_ownerDied_name = zend_string_init("ownerDied", sizeof("ownerDied") - 1, 1);
	zend_declare_typed_property(class_entry, property_ownerDied_name, &property_ownerDied_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_BOOL));
	zend_string_release(property_ownerDied_name);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Event(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Event", class_Shmd_Event_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;

	zend_string *property_kind_class_Shmd_EventKind = zend_string_init("Shmd\\EventKind", sizeof("Shmd\\EventKind")-1, 1);
	zval property_kind_default_value;
	ZVAL_UNDEF(&property_kind_default_value);
	zend_string *property_kind_name = zend_string_init("kind", sizeof("kind") - 1, 1);
	zend_declare_typed_property(class_entry, property_kind_name, &property_kind_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_kind_class_Shmd_EventKind, 0, 0));
	zend_string_release(property_kind_name);

	zend_string *property_segment_class_Shmd_SegmentInfo = zend_string_init("Shmd\\SegmentInfo", sizeof("Shmd\\SegmentInfo")-1, 1);
	zval property_segment_default_value;
	ZVAL_UNDEF(&property_segment_default_value);
	zend_string *property_segment_name = zend_string_init("segment", sizeof("segment") - 1, 1);
	zend_declare_typed_property(class_entry, property_segment_name, &property_segment_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_segment_class_Shmd_SegmentInfo, 0, MAY_BE_NULL));
	zend_string_release(property_segment_name);

	return class_entry;
}

static zend_class_entry *register_class_Shmd_Watch(zend_class_entry *class_entry_IteratorAggregate)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Shmd", "Watch", class_Shmd_Watch_methods);
	class_entry = zend_register_internal_class_ex(&ce, NULL);
	class_entry->ce_flags |= ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE;
	zend_class_implements(class_entry, 1, class_entry_IteratorAggregate);

	return class_entry;
}
