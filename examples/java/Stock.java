import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;

/**
 * Writes stock beside the job: on_hand and reserved, and in the same write what follows from them.
 *
 * <p>docs/contract.md tells what the write is. Needs Java 17 and the SDK of pom.xml.
 */
public record Stock(DynamoDbClient client, String table) {

  /** What the derived figures follow from. */
  private static final List<String> READ =
      List.of("on_hand", "reserved", "safety_stock", "reorder_point", "unit_price");

  /** There is less than this would take; nothing was written. */
  public static final class NotEnoughException extends RuntimeException {}

  /** How much is there of an item; what is written of it is {@code onHand} and {@code reserved}. */
  public record Level(BigDecimal onHand, BigDecimal reserved, BigDecimal safetyStock) {
    BigDecimal available() {
      return onHand.subtract(reserved).subtract(safetyStock);
    }
  }

  /** What a level becomes. */
  private interface Decision {
    Level of(Level was);
  }

  /**
   * Adds to what is there: a sale (on hand -3), a reservation (reserved 3), its release, goods received.
   *
   * @throws NotEnoughException where on hand or reserved would fall below zero, or available would by this
   */
  public void add(String sku, String locationId, BigDecimal onHand, BigDecimal reserved) {
    write(sku, locationId, was -> {
      var after = new Level(was.onHand().add(onHand), was.reserved().add(reserved), was.safetyStock());
      var isTaking = after.available().compareTo(was.available()) < 0;
      if (after.onHand().signum() < 0
          || after.reserved().signum() < 0
          || (isTaking && after.available().signum() < 0)) {
        throw new NotEnoughException();
      }
      return after;
    });
  }

  /** Says what is there now, whatever was there before. */
  public void setOnHand(String sku, String locationId, BigDecimal onHand) {
    write(sku, locationId, was -> new Level(onHand, was.reserved(), was.safetyStock()));
  }

  /** Writes what {@code decision} says; it is asked again where somebody else was faster. */
  private void write(String sku, String locationId, Decision decision) {
    var key = Map.of("sku", AttributeValue.fromS(sku), "location_id", AttributeValue.fromS(locationId));
    while (true) {
      var item = client.getItem(request -> request.tableName(table).key(key).consistentRead(true)).item();
      if (item.isEmpty()) {
        throw new IllegalArgumentException("there is no item " + sku + " at " + locationId);
      }
      try {
        update(key, item, decision);
        return;
      } catch (ConditionalCheckFailedException somebodyWasFaster) {
        continue;
      }
    }
  }

  private void update(Map<String, AttributeValue> key, Map<String, AttributeValue> item, Decision decision) {
    var was = new Level(figure(item, "on_hand"), figure(item, "reserved"), figure(item, "safety_stock"));
    var level = decision.of(was);
    var sets = new HashMap<String, AttributeValue>();
    sets.put("on_hand", number(level.onHand()));
    sets.put("reserved", number(level.reserved()));
    sets.put("available", number(level.available()));
    sets.put("stock_status", AttributeValue.fromS(status(level.available(), figure(item, "reorder_point"))));
    if (item.containsKey("unit_price")) {
      sets.put("stock_value", number(level.onHand().multiply(figure(item, "unit_price"))));
    }
    var set = sets.keySet().stream().map(name -> name + " = :" + name).collect(Collectors.joining(", "));
    var held = READ.stream()
        .map(name -> item.containsKey(name) ? name + " = :was_" + name : "attribute_not_exists(" + name + ")")
        .collect(Collectors.joining(" AND "));
    var values = new HashMap<String, AttributeValue>();
    sets.forEach((name, value) -> values.put(":" + name, value));
    READ.stream().filter(item::containsKey).forEach(name -> values.put(":was_" + name, item.get(name)));
    client.updateItem(request -> request
        .tableName(table)
        .key(key)
        .updateExpression("SET " + set + (sets.containsKey("stock_value") ? "" : " REMOVE stock_value"))
        .conditionExpression(held)
        .expressionAttributeValues(values));
  }

  private static String status(BigDecimal available, BigDecimal reorderPoint) {
    if (available.signum() <= 0) {
      return "OUT_OF_STOCK";
    }
    return available.compareTo(reorderPoint) <= 0 ? "LOW_STOCK" : "IN_STOCK";
  }

  private static BigDecimal figure(Map<String, AttributeValue> item, String name) {
    return item.containsKey(name) ? new BigDecimal(item.get(name).n()) : BigDecimal.ZERO;
  }

  private static AttributeValue number(BigDecimal value) {
    return AttributeValue.fromN(value.toPlainString());
  }
}
