import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;

/**
 * Puts changes into the changes table, as records that a job settles.
 *
 * <p>docs/contract.md tells what must hold for them. Needs Java 17 and the SDK of pom.xml.
 */
public record Records(DynamoDbClient client, String table, String actor, String source) {

  /** In UTC, with six decimals: what is compared as text. */
  private static final DateTimeFormatter STORED_TIME =
      DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

  /** A change; {@code more} has what else it says: until, expected, not_after, reason, reference. */
  public record Change(
      String changeId,
      String sku,
      String locationId,
      String kind,
      BigDecimal value,
      Instant effectiveAt,
      Map<String, AttributeValue> more) {}

  /** Puts a change as a record; false where its item has one of this id already. */
  public boolean put(Change change) {
    var item = itemOf(change.sku(), change.locationId());
    var effectiveAt = time(change.effectiveAt());
    var stored = new HashMap<>(change.more());
    stored.put("item", AttributeValue.fromS(item));
    stored.put("change_id", AttributeValue.fromS(change.changeId()));
    stored.put("sku", AttributeValue.fromS(change.sku()));
    stored.put("location_id", AttributeValue.fromS(change.locationId()));
    stored.put("kind", AttributeValue.fromS(change.kind()));
    stored.put("value", number(change.value()));
    stored.put("effective_at", effectiveAt);
    stored.put("status", AttributeValue.fromS("PENDING"));
    stored.put("attempt", AttributeValue.fromN("1"));
    stored.put("due_shard", AttributeValue.fromS(shardOf(item)));
    stored.put("due_at", effectiveAt);
    stored.put("actor", AttributeValue.fromS(actor));
    stored.put("source", AttributeValue.fromS(source));
    stored.put("scheduled_at", time(Instant.now()));
    try {
      client.putItem(request -> request
          .tableName(table)
          .item(stored)
          .conditionExpression("attribute_not_exists(change_id)"));
      return true;
    } catch (ConditionalCheckFailedException isKnown) {
      return false;
    }
  }

  public static AttributeValue number(BigDecimal value) {
    return AttributeValue.fromN(value.toPlainString());
  }

  public static AttributeValue time(Instant moment) {
    return AttributeValue.fromS(STORED_TIME.format(moment));
  }

  /** Both in one text: mug#DC1. */
  static String itemOf(String sku, String locationId) {
    return escaped(sku) + "#" + escaped(locationId);
  }

  /** Percent-encoded, in UTF-8, where it has a # or a %: all but printable ASCII, and those two. */
  private static String escaped(String text) {
    if (!text.contains("#") && !text.contains("%")) {
      return text;
    }
    var escaped = new StringBuilder();
    for (var each : text.getBytes(StandardCharsets.UTF_8)) {
      var isPlain = each >= 0x20 && each < 0x7f && each != '#' && each != '%';
      escaped.append(isPlain ? Character.toString(each) : "%%%02X".formatted(each));
    }
    return escaped.toString();
  }

  /** Where it waits: of the SHA-256 of the item the first four bytes, modulo 64, in two digits. */
  static String shardOf(String item) {
    try {
      var digest = MessageDigest.getInstance("SHA-256").digest(item.getBytes(StandardCharsets.UTF_8));
      var number = new BigInteger(1, Arrays.copyOf(digest, 4));
      return "%02d".formatted(number.mod(BigInteger.valueOf(64)));
    } catch (NoSuchAlgorithmException everyJavaHasIt) {
      throw new IllegalStateException(everyJavaHasIt);
    }
  }
}
