// Every segment and every attachment, and the keys. Decides nothing about users and answers no calls: it keeps the
// state whole. One thread; no descriptors but through Memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "memory.hpp"
#include "policy.hpp"
#include "quota.hpp"
#include "result.hpp"
#include "types.hpp"

namespace shmd {

/// One segment. Handlers read it; the Registry alone changes it.
struct Entry {
    std::int64_t id = 0;
    std::optional<std::string> key;
    std::optional<std::string> staged_key;  // the one to publish under, if it was named at creation
    Acl acl;
    std::int32_t creator_pid = 0;
    State state = State::live;
    Lifetime lifetime = Lifetime::persistent;
    bool sealed = false;
    std::uint32_t staging_attachment = 0;  // while staged: ends with this one
    std::int64_t attachments = 0;
    std::int64_t created_usec = 0;
    std::optional<std::int64_t> attached_usec;
    std::optional<std::int64_t> detached_usec;
    std::int64_t changed_usec = 0;
    Labels labels;
    std::shared_ptr<Memory> memory;
    Charge segment_charge;
    Charge bytes_charge;

    /// What clients are told.
    [[nodiscard]] Segment describe() const;
};

/// The attachments of one connection. They all end when Registry::detach_all() is called, which its owner must do.
class Holder {
  public:
    Holder() = default;
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    [[nodiscard]] bool holds(std::uint32_t attachment) const { return attachments_.contains(attachment); }

  private:
    friend class Registry;
    std::unordered_set<std::uint32_t> attachments_;
};

class Registry {
  public:
    /// release: takes the memory of a segment that is gone; freeing it may take long. Left out, it is freed at once.
    explicit Registry(std::function<void(std::shared_ptr<Memory>)> release = {});
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    /// The live segment with this key, or null. Valid until the next change.
    [[nodiscard]] Entry* find(std::string_view key);
    /// The segment with this id, whatever its state, or null. Valid until the next change.
    [[nodiscard]] Entry* find(std::int64_t id);
    /// The segment of an attachment, or null.
    [[nodiscard]] Entry* find_attached(std::uint32_t attachment);
    /// The segment with the lowest id above this one, or null: one step of a listing.
    [[nodiscard]] Entry* next_after(std::int64_t id);

    /// Takes a segment in and gives it its id and times. A key that it brings must be free; the caller has looked.
    Entry& add(std::unique_ptr<Entry> entry);

    /// Begins an attachment and returns its id.
    std::uint32_t attach(Entry& entry, Holder& holder, Charge charge);
    /// Ends one attachment of this holder. Segments that lived only for it go.
    void detach(Holder& holder, std::uint32_t attachment);
    void detach_all(Holder& holder);

    /// Takes key and visibility away. The entry goes now, or with its last attachment.
    void remove(Entry& entry);

    /// Makes a staged segment live under this key. A segment that has the key is removed.
    void publish(Entry& entry, std::string key);

    /// Calls back once when a segment becomes live under this key. Dropping the ticket ends it.
    class Ticket {
      public:
        Ticket(Registry& registry, std::string key, std::function<void()> wake);
        ~Ticket();
        Ticket(const Ticket&) = delete;
        Ticket& operator=(const Ticket&) = delete;

      private:
        Registry& registry_;
        std::multimap<std::string, std::function<void()>>::iterator place_;
    };

    [[nodiscard]] std::size_t size() const { return by_id_.size(); }

  private:
    struct Attachment {
        Entry* entry;
        Charge charge;
    };

    void erase(Entry& entry);
    void forget_key(Entry& entry);
    void announce(const std::string& key);
    std::uint32_t fresh_attachment_id();

    std::function<void(std::shared_ptr<Memory>)> release_;
    std::int64_t next_id_;
    std::uint32_t last_attachment_;
    std::map<std::int64_t, std::unique_ptr<Entry>> by_id_;
    std::unordered_map<std::string_view, Entry*> by_key_;  // views into the entries
    std::unordered_map<std::uint32_t, Attachment> attachments_;
    std::multimap<std::string, std::function<void()>> waiting_;
};

}  // namespace shmd
