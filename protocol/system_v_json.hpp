// The fields of io.shmd.SystemV, from JSON and to JSON, for the codecs in this directory alone.
#pragma once

#include "json_reader.hpp"
#include "json_writer.hpp"
#include "system_v.hpp"

namespace shmd::system_v {

void read(json::Fields& fields, Get& call);
void read(json::Fields& fields, Attach& call);
void read(json::Fields& fields, Detach& call);
void read(json::Fields& fields, Stat& call);
void read(json::Fields& fields, Set& call);
void read(json::Fields& fields, Remove& call);
void read(json::Fields& fields, Lock& call);
void read(json::Fields& fields, Inherit& call);

void write(json::ObjectWriter& out, const Get& call);
void write(json::ObjectWriter& out, const Attach& call);
void write(json::ObjectWriter& out, const Detach& call);
void write(json::ObjectWriter& out, const Stat& call);
void write(json::ObjectWriter& out, const Set& call);
void write(json::ObjectWriter& out, const Remove& call);
void write(json::ObjectWriter& out, const Lock& call);
void write(json::ObjectWriter& out, const Inherit& call);

bool read(const json::Json& parameters, GetReply& reply);
bool read(const json::Json& parameters, AttachReply& reply);
bool read(const json::Json& parameters, StatusReply& reply);
bool read(const json::Json& parameters, InfoReply& reply);
bool read(const json::Json& parameters, ChangesReply& reply);
bool read(const json::Json& parameters, Inherited& reply);

void write(json::ObjectWriter& out, const GetReply& reply);
void write(json::ObjectWriter& out, const AttachReply& reply);
void write(json::ObjectWriter& out, const StatusReply& reply);
void write(json::ObjectWriter& out, const InfoReply& reply);
void write(json::ObjectWriter& out, const ChangesReply& reply);
void write(json::ObjectWriter& out, const Inherited& reply);

}  // namespace shmd::system_v
